"""The checkpoint folder: weights and config, temperature and thresholds, licences, the ONNX file."""
