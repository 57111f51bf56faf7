"""OpenI (Indiana University): the XML release and Kaggle's tables of it."""
