"""What files of the enhanced form say of each frame in functional groups, PS3.3 C.7.6.16, instead of in the header."""

import pydicom

GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")  # the former counts where both speak
_MACROS = {  # group -> what of it decides how the frame is shown
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope"),
    "PixelMeasuresSequence": ("PixelSpacing",),
}


def lift_frame_tags(header: pydicom.Dataset, frame: int) -> None:
    """Puts what the groups say of frame number `frame`, from 1, into `header`, where nothing of that kind stands."""
    groups = [*_item(header.get(GROUPS[0]), frame), *_item(header.get(GROUPS[1]), 1)]
    for macro, keywords in _MACROS.items():
        stated = next((item for group in groups for item in _item(group.get(macro), 1)), None)
        if stated is None or any(keyword in header for keyword in keywords):
            continue
        for keyword in keywords:
            if keyword in stated:
                header.add(stated[keyword])


def _item(sequence: pydicom.Sequence | None, number: int) -> list[pydicom.Dataset]:
    """The item of that number, from 1, alone; nothing where there is none."""
    return list(sequence or [])[number - 1 : number]
