"""The network and what fits it: backbone, loss, optimizer, the device it runs on."""
