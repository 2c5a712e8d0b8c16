#!/bin/sh
# imageio 2.37.0 reads DICOM by Bits Allocated and does not look at Bits Stored or High Bit (0028,0101 and 0102). Signed
# values of 12 bits in words of 16 have their sign in bit 11 (PS3.5 8.1.1); where the writer left the upper four bits 0,
# imageio.v2.imread and v3.imread make 4095 of -1 and 2048 of -2048, with the type int16: air, or what is outside the film,
# becomes the brightest. Where those bits hold something else, such as the overlays of older films, they are added to the
# levels. Rescale Slope and Intercept are then applied to the wrong values, which makes them look like finished ones.
# pydicom and SimpleITK give -1. Files whose writer extended the sign are right, so that it depends on the maker. The
# documentation of the plugin names no such limit. Who reads films with imageio (or scikit-image's imread, which hands
# them on to it) has to mask and extend himself, or to read with pydicom.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-compile numpy==2.2.6 pillow==12.0.0 imageio==2.37.0 pydicom==3.0.1 SimpleITK==2.5.2

cat >"$folder/expected" <<'END'
stored: 0 1 2047 -1 -2 -2048
upper bits 0: imageio 0 1 2047 4095 4094 2048 (int16); pydicom 0 1 2047 -1 -2 -2048; SimpleITK 0 1 2047 -1 -2 -2048
sign extended: imageio 0 1 2047 -1 -2 -2048 (int16); pydicom 0 1 2047 -1 -2 -2048; SimpleITK 0 1 2047 -1 -2 -2048
END
mkdir "$folder/films"
"$folder/venv/bin/python" - "$folder/films/film.dcm" >"$folder/seen" <<'END'
import sys

import imageio.v2
import numpy as np
import SimpleITK
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

PATH = sys.argv[1]
LEVELS = np.array([0, 1, 2047, -1, -2, -2048], np.int16)


def words(row):
    return " ".join(str(v) for v in row)


def write(words_stored):
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    film.StudyInstanceUID, film.SeriesInstanceUID, film.Modality, film.InstanceNumber = generate_uid(), generate_uid(), "CR", 1
    film.Rows, film.Columns, film.SamplesPerPixel, film.PhotometricInterpretation = 2, 6, 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 1
    film.PixelData = np.tile(words_stored, 2).astype("<u2").tobytes()
    film["PixelData"].VR = "OW"
    film.save_as(PATH, enforce_file_format=True)


print("stored:", words(LEVELS))
for name, stored in ("upper bits 0", LEVELS.view(np.uint16) & 0xFFF), ("sign extended", LEVELS.view(np.uint16)):
    write(stored)
    picture = imageio.v2.imread(PATH)
    print(f"{name}: imageio {words(picture[0])} ({picture.dtype}); pydicom {words(dcmread(PATH).pixel_array[0])}; "
          f"SimpleITK {words(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(PATH))[0, 0])}")
END
cat "$folder/seen"
diff "$folder/expected" "$folder/seen" && echo "as described"
