"""VinDr-CXR: PhysioNet's release, Kaggle's VinBigData and the boxes of both."""
