// Typeset formulas: a line of JSON in, {latex, display}, a line of JSON out, {html} or {error}.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const source = fs.readFileSync(path.join(__dirname, "temml.min.js"), "utf8");
const temml = vm.runInThisContext(`${source}\ntemml`);

const answer = ({ latex, display }) => {
  try {
    const options = { displayMode: display, throwOnError: true, wrap: display ? "none" : "=" };
    return { html: temml.renderToString(latex, options) };
  } catch (error) {
    return { error: error.message };
  }
};

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`));
