"""The load balancers in front of tasks: their targets, their weights, their figures, and the requests that reach them."""
