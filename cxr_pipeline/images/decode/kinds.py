"""What a file is whose first bytes are those of no PNG, JPEG or DICOM file, and the advice that helps with it."""

import re

from cxr_pipeline.errors import ImageError

_READ = "a PNG, JPEG or DICOM file"
_PICTURES = {  # how a file starts -> what it is
    rb"II\*\x00|MM\x00\*|II\+\x00|MM\x00\+": "TIFF",
    rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00{3}": "BMP",
    rb"RIFF.{4}WEBP": "WebP",
    rb"\x00{3}\x0cjP  |\xff\x4f\xff\x51": "JPEG 2000",
    rb"GIF8[79]a": "GIF",
    rb"\xff\x0a|\x00{3}\x0cJXL ": "JPEG XL",
    rb".{4}ftyp(?:heic|heix|hevc|mif1|msf1|avif|avis)": "HEIF",
    rb"II\xbc": "JPEG XR",
    rb"8BPS": "Photoshop",
    rb"P[1-7]\s": "Netpbm",
    rb"\x93NUMPY": "NumPy",
    rb"NRRD": "NRRD",
    rb"\x5c\x01\x00\x00.{340}(?:n\+1|ni1)\x00": "NIfTI",
}
_OTHERS = {  # how a file starts -> what it is, and what to do
    rb"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ\x00|7z\xbc\xaf|Rar!|.{257}ustar": "an archive. Unpack it first.",
    rb"%PDF": "a PDF document. Export the picture in it.",
    rb"\s*<(?:!doctype html|html)": "a web page, perhaps of an error or a login, and no image. Fetch the file again.",
    rb"version https://git-lfs": "a pointer of Git LFS and no image. Fetch the file behind it (`git lfs pull`).",
}


def name_picture(data: bytes) -> str | None:
    """The format of a picture that is none of those of the store: "TIFF", "JPEG 2000", "GIF", ..."""
    return next((name for start, name in _PICTURES.items() if _starts(start, data)), None)


def refuse(data: bytes) -> ImageError:
    """Why bytes of no PNG, JPEG or DICOM file are not decoded: `unsupported` for a picture, or `not_an_image`."""
    if name := name_picture(data):
        return ImageError("unsupported", f"The file is {name}, expected {_READ}. Convert it to PNG.")
    for start, found in _OTHERS.items():
        if _starts(start, data):
            return ImageError("not_an_image", f"Expected {_READ}, but the file is {found}")
    if not any(data[:512]):
        found = "The file is not an image: it starts with zeros, as where a copy or a disk failed"
        return ImageError("not_an_image", f"{found}; expected {_READ}. Fetch it again.")
    return ImageError(
        "not_an_image", f"The file is not an image: it starts with {data[:8]!r}, expected {_READ}. Leave it out."
    )


def _starts(pattern: bytes, data: bytes) -> bool:
    return re.match(pattern, data[:512], re.DOTALL | re.IGNORECASE) is not None
