"""What a model file says about the model: a reader a format gives layers and tensors, `figures` counts them."""
