"""Right answers to the exercise on weight decay, as a class of independent students writes them.

Each step of an answer is written in one of several ways, the first of which are the most frequent.
"""

import random

CHOICES = {
    "softmax_regression(x, y, W, b, weight_decay)": """
n = len(x)
or
n = x.shape[0]
or
N, D = x.shape
C = W.shape[1]
or
n = y.size
or
batch = y.shape[0]
then
s = x @ W + b
or
s = np.dot(x, W) + b
or
s = x.dot(W) + b
or
s = np.matmul(x, W)
s = s + b
or
s = b + x @ W
or
s = x @ W + b[None, :]
then
s = s - s.max(axis=1, keepdims=True)
or
s -= np.max(s, axis=1, keepdims=True)
or
top = s.max(axis=1)[:, None]
s = s - top
or
s = s - np.max(s, axis=1).reshape(-1, 1)
or
m = np.amax(s, axis=-1, keepdims=True)
s = s - m
then
e = np.exp(s)
p = e / e.sum(axis=1, keepdims=True)
logp = s - np.log(e.sum(axis=1, keepdims=True))
or
z = np.exp(s).sum(axis=1, keepdims=True)
logp = s - np.log(z)
p = np.exp(logp)
or
logp = s - np.log(np.sum(np.exp(s), axis=1))[:, None]
p = np.exp(logp)
or
e = np.exp(s)
z = np.sum(e, axis=1, keepdims=True)
p = e / z
logp = s - np.log(z)
or
p = np.exp(s)
p = p / p.sum(1, keepdims=True)
logp = s - np.log(np.exp(s).sum(1, keepdims=True))
or
logsum = np.log(np.exp(s).sum(axis=1)).reshape(-1, 1)
logp = s - logsum
p = np.exp(s - logsum)
then
loss = -logp[np.arange(len(y)), y].mean()
or
loss = -np.mean(logp[range(len(y)), y])
or
loss = 0.0
for i in range(len(y)):
    loss -= logp[i, y[i]]
loss = loss / len(y)
or
loss = -np.sum(logp[np.arange(x.shape[0]), y]) / x.shape[0]
or
loss = np.mean([-logp[i, k] for i, k in enumerate(y)])
or
Y = np.eye(W.shape[1])[y]
loss = -(Y * logp).sum() / len(y)
then
loss += l2_penalty([W], weight_decay)
or
loss = loss + 0.5 * weight_decay * np.sum(W ** 2)
or
loss += weight_decay / 2 * (W * W).sum()
or
reg = l2_penalty([W], weight_decay)
loss = loss + reg
or
loss = loss + weight_decay * np.sum(np.square(W)) / 2
then
d = p.copy()
d[np.arange(len(y)), y] -= 1
d /= len(y)
or
Y = np.zeros_like(p)
Y[np.arange(len(y)), y] = 1
d = (p - Y) / len(y)
or
d = (p - np.eye(W.shape[1])[y]) / x.shape[0]
or
d = p
for i in range(len(y)):
    d[i, y[i]] -= 1.0
d = d / len(y)
or
onehot = np.zeros((len(y), W.shape[1]))
for i, k in enumerate(y):
    onehot[i, k] = 1.0
d = (p - onehot) / len(y)
then
dW = x.T @ d + weight_decay * W
or
dW = np.dot(x.T, d)
dW = dW + weight_decay * W
or
dW = x.T.dot(d) + l2_penalty_backward([W], weight_decay)[0]
or
dW = x.transpose() @ d
dW += l2_penalty_backward([W], weight_decay)[0]
or
dW = np.matmul(x.T, d) + weight_decay * W
then
db = d.sum(axis=0)
or
db = np.sum(d, axis=0)
or
db = d.sum(0)
then
return loss, dW, db
or
return float(loss), dW, db
or
return (loss, dW, db)
""",
    "adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled)": """
b1, b2 = betas
or
beta1, beta2 = betas
or
b1 = betas[0]
b2 = betas[1]
then
t = state['step'] + 1
or
t = state["step"] + 1
or
m, v, t = state["m"], state["v"], state["step"]
t = t + 1
or
t = state["step"]
t += 1
then
g = grad
w = param
if decoupled:
    w = w * (1 - lr * weight_decay)
else:
    g = g + weight_decay * w
or
if not decoupled:
    g = grad + weight_decay * param
    w = param
else:
    g = grad
    w = param - lr * weight_decay * param
or
w = param.copy()
g = grad.copy()
if decoupled == True:
    w = (1 - lr * weight_decay) * w
if decoupled == False:
    g = grad + weight_decay * param
or
g = grad if decoupled else grad + weight_decay * param
w = (1 - lr * weight_decay) * param if decoupled else param
then
m = b1 * state["m"] + (1 - b1) * g
v = b2 * state["v"] + (1 - b2) * g ** 2
or
m = state["m"] * b1 + g * (1 - b1)
v = state["v"] * b2 + g * g * (1 - b2)
or
m = b1 * state["m"] + (1.0 - b1) * g
v = b2 * state["v"] + (1.0 - b2) * np.square(g)
or
m, v = state["m"], state["v"]
m = b1 * m + (1 - b1) * g
v = b2 * v + (1 - b2) * (g * g)
then
mh = m / (1 - b1 ** t)
vh = v / (1 - b2 ** t)
or
mh = m / (1.0 - b1**t)
vh = v / (1.0 - b2**t)
or
c1 = 1 - b1**t
c2 = 1 - b2**t
mh = m / c1
vh = v / c2
or
mh, vh = m / (1 - b1**t), v / (1 - b2**t)
or
mh = m / (1 - np.power(b1, t))
vh = v / (1 - np.power(b2, t))
then
w = w - lr * mh / (np.sqrt(vh) + eps)
or
new = w - lr * (mh / (np.sqrt(vh) + eps))
w = new
or
step = lr * mh / (np.sqrt(vh) + eps)
w = w - step
or
w = w - mh * lr / (vh ** 0.5 + eps)
then
return w, {"step": t, "m": m, "v": v}
or
new_state = {"step": t, "m": m, "v": v}
return w, new_state
or
out = dict(step=t, m=m, v=v)
return w, out
or
s = {}
s['step'] = t
s['m'] = m
s['v'] = v
return w, s
""",
    "l2_penalty(weights, weight_decay)": """
total = 0.0
or
total = 0
or
s = 0.0
then
for w in weights:
    total += np.sum(w ** 2)
or
for w in weights:
    total = total + (w * w).sum()
or
total = sum(np.sum(w**2) for w in weights)
or
total = sum([(w**2).sum() for w in weights])
or
for i in range(len(weights)):
    total += np.sum(np.square(weights[i]))
then
return 0.5 * weight_decay * total
or
return weight_decay / 2 * total
or
return weight_decay * total / 2
or
return 0.5 * total * weight_decay
""",
    "l2_penalty_backward(weights, weight_decay)": """
return [weight_decay * w for w in weights]
or
out = []
for w in weights:
    out.append(weight_decay * w)
return out
or
grads = [w * weight_decay for w in weights]
return grads
""",
    "sgd_step(param, grad, lr, weight_decay)": """
return param - lr * (grad + weight_decay * param)
or
g = grad + weight_decay * param
return param - lr * g
or
return (1 - lr * weight_decay) * param - lr * grad
or
new = param - lr * grad - lr * weight_decay * param
return new
""",
    "parameter_groups(model, weight_decay)": """
a, b = [], []
or
decay = []
no_decay = []
then
for p in model.parameters():
    if not p.requires_grad:
        continue
    if p.ndim >= 2:
        a.append(p)
    else:
        b.append(p)
or
for name, p in model.named_parameters():
    if p.requires_grad:
        if len(p.shape) >= 2:
            a.append(p)
        else:
            b.append(p)
or
a = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
b = [p for p in model.parameters() if p.requires_grad and p.dim() <= 1]
then
return [{"params": a, "weight_decay": weight_decay}, {"params": b, "weight_decay": 0.0}]
or
groups = [
    {"params": a, "weight_decay": weight_decay},
    {"params": b, "weight_decay": 0},
]
return groups
""",
}
"""Definitions of functions, with the steps of their bodies."""


def independent(seed):
    """Return the answers of one student by task."""
    rng = random.Random(seed)
    answers = {}
    for definition, steps in CHOICES.items():
        lines = [f"def {definition}:"]
        for step in steps.strip("\n").split("\nthen\n"):
            ways = step.split("\nor\n")
            [way] = rng.choices(ways, [1 / (place + 1) for place in range(len(ways))])
            lines += [f"    {line}" for line in way.split("\n")]
        answers[definition.partition("(")[0]] = "\n".join(lines) + "\n"
    return answers
