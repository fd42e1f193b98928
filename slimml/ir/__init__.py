"""What a model means: typed nodes in a graph, each with a plain numpy evaluation."""
