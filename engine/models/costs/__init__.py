"""What a network takes to compute: values that its layers hold, products, and images at once."""
