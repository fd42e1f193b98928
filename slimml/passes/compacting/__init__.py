"""What a forest says more than once, or never: decided splits, equal subtrees, tables and cuts that nothing reads."""
