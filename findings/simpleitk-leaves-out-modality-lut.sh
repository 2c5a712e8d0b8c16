#!/bin/sh
# SimpleITK 2.5.2 (ITK with GDCM) applies Rescale Slope and Intercept when it reads a DICOM file, and leaves out the other form
# of the same step, the Modality LUT Sequence (0028,3000), without a warning. PS3.3 C.11.1 has either in a file; the
# table is for what no straight line gives, such as optical density, and it may fall where stored values grow.
# Then SimpleITK's levels run the other way than pydicom's after apply_modality_lut and than what dcmtk's dcm2pnm shows: a
# folder with both kinds has half of its films inverted. The documentation of ITK's GDCMImageIO names slope and intercept
# and no table. Readers have to look for (0028,3000) themselves.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-compile numpy==2.2.6 pydicom==3.0.1 SimpleITK==2.5.2

cat >"$folder/expected" <<'END'
stored: 0 1 2 3 4 5
slope -50, intercept 1000: pydicom 1000 950 900 850 800 750; SimpleITK 1000 950 900 850 800 750
table of the same values: pydicom 1000 950 900 850 800 750; SimpleITK 0 1 2 3 4 5
warnings: none
END
"$folder/venv/bin/python" - "$folder" >"$folder/seen" 2>"$folder/warnings" <<'END'
import sys

import numpy as np
import SimpleITK
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

PATH = sys.argv[1] + "/film.dcm"


def words(row):
    return " ".join(str(int(v)) for v in row)


def write(attributes):
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID, film.Modality = generate_uid(), generate_uid(), "CR"
    film.Rows, film.Columns, film.SamplesPerPixel, film.PhotometricInterpretation = 2, 6, 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    for name, value in attributes.items():
        setattr(film, name, value)
    film.PixelData = np.tile(np.arange(6, dtype="<u2"), 2).tobytes()
    film["PixelData"].VR = "OW"
    film.save_as(PATH, enforce_file_format=True)


table = Dataset()
table.add_new("LUTDescriptor", "US", [6, 0, 16])
table.ModalityLUTType = "US"
table.add_new("LUTData", "US", [1000 - 50 * i for i in range(6)])
print("stored:", words(range(6)))
for name, attributes in (("slope -50, intercept 1000", {"RescaleSlope": -50, "RescaleIntercept": 1000, "RescaleType": "US"}),
                         ("table of the same values", {"ModalityLUTSequence": [table]})):
    write(attributes)
    film = dcmread(PATH)
    print(f"{name}: pydicom {words(apply_modality_lut(film.pixel_array, film)[0])}; "
          f"SimpleITK {words(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(PATH))[0, 0])}")
sys.stderr.flush()
print("warnings:", open(sys.argv[1] + "/warnings").read().strip() or "none")
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
