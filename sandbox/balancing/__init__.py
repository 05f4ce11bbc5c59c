"""The load balancers, and as AWS shows them: Elastic Load Balancing's API, and their figures in CloudWatch."""
