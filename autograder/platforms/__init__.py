"""Learning platforms: collect what students hand in there, and give grades and feedback back."""
