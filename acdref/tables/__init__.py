"""Files of labels, scores and manifests: what is in them, and what is wrong with them."""
