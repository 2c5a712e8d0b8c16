#!/bin/sh
# SimpleITK 2.5.2 (ITK with GDCM) takes the size of a pixel in CR, DX and fluoroscopic images from Imager Pixel Spacing
# (0018,1164) alone. Pixel Spacing (0028,0030), which is calibrated for the patient where there is a calibration, is not
# looked at: with both, the one at the detector is given, too large by the magnification (here 0.15 instead of 0.12 mm:
# lengths by a quarter, areas by more than a half); with Pixel Spacing alone the answer is 1 mm, as if nothing were known, and
# there is no warning. CT and secondary captures are taken the other way round. PS3.3 10.7 has Pixel Spacing for measuring
# where it is there. SimpleITK's documentation of GetSpacing does not say which attribute it comes from. Who measures on
# radiographs, or resamples them to millimetres, has to read the attributes himself (GetMetaData("0028|0030")).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-compile numpy==2.2.6 pydicom==3.0.1 SimpleITK==2.5.2

cat >"$folder/expected" <<'END'
DX both spacings: 0.15
DX only the patient's: 1.0
DX only the detector's: 0.15
CR both spacings: 0.15
CR only the patient's: 1.0
CR only the detector's: 0.15
CT both spacings: 0.12
CT only the patient's: 0.12
CT only the detector's: 1.0
warnings: none
the attribute itself: 0.12\0.12
END
"$folder/venv/bin/python" - "$folder" >"$folder/seen" 2>"$folder/warnings" <<'END'
import sys

import numpy as np
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

PATH = sys.argv[1] + "/film.dcm"
CLASSES = {"DX": "1.2.840.10008.5.1.4.1.1.1.1", "CR": "1.2.840.10008.5.1.4.1.1.1", "CT": "1.2.840.10008.5.1.4.1.1.2"}
PATIENT = {"PixelSpacing": [0.12, 0.12], "PixelSpacingCalibrationType": "GEOMETRY"}
DETECTOR = {"ImagerPixelSpacing": [0.15, 0.15]}


def write(modality, attributes):
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = CLASSES[modality]
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID, film.Modality = generate_uid(), generate_uid(), modality
    film.Rows, film.Columns, film.SamplesPerPixel, film.PhotometricInterpretation = 3, 4, 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    for name, value in attributes.items():
        setattr(film, name, value)
    film.PixelData = np.arange(12, dtype="<u2").tobytes()
    film["PixelData"].VR = "OW"
    film.save_as(PATH, enforce_file_format=True)


for modality in CLASSES:
    for name, attributes in (("both spacings", PATIENT | DETECTOR), ("only the patient's", PATIENT),
                             ("only the detector's", DETECTOR)):
        write(modality, attributes)
        print(f"{modality} {name}: {SimpleITK.ReadImage(PATH).GetSpacing()[0]}")
sys.stderr.flush()
print("warnings:", open(sys.argv[1] + "/warnings").read().strip() or "none")
write("DX", PATIENT | DETECTOR)
print("the attribute itself:", SimpleITK.ReadImage(PATH).GetMetaData("0028|0030").strip())
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
