"""Why an image file is put in quarantine: every reason once, with its meaning. What finds them does not live here."""

REASONS = {
    "missing": "the file that the inventory names is not there any more",
    "unreadable": "the disk or its rights do not let the file be read, or it is a folder, a pipe or a device",
    "empty": "the file has no bytes",
    "truncated": "the file ends before its picture does",
    "damaged": "the data do not decode, or a checksum in them is wrong",
    "not_an_image": "no picture: text, an archive, or a DICOM file without one",
    "unsupported": "a picture in a form that is not read: TIFF, 12-bit JPEG, frames, DICOM colour, over 16 bits",
    "too_large": "a decompression bomb: more bytes or pixels than any radiograph has",
    "too_small": "an icon or thumbnail",
    "absurd_aspect": "sides so unequal that it is no chest radiograph",
    "blank": "almost all pixels have one value",
    "colour_photo": "large parts are strongly coloured",
    "not_radiograph": "the DICOM modality is none of plain radiography",
    "not_chest": "the DICOM header names another part of the body",
    "decoder_crash": "the file ended the process that decoded it",
}
"""Reason -> what is wrong with the file. `ImageError.reason` and `StoreIndex.quarantine` hold one of the keys."""
