"""From the bytes of an image file to the grey 8-bit square that a store keeps, or the reason why not."""
