"""The page to try a model: plain files, which load nothing from elsewhere."""
