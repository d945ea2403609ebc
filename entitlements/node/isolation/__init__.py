"""What keeps a slow or failing system from taking this node away from the others: a breaker and a bound for each."""
