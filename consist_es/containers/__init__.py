"""Programs in containers: what a user asks for, where files lie inside, and the engines that run them."""
