"""Who agreed to what: what people are shown, what they sign, and what a change has to bring along. Pure."""
