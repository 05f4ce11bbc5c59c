"""The platforms that services run on, and what pages need of them."""
