"""eSSVI surfaces and mixtures of them."""
