--- Learns to tell infected from normal chest radiographs, or any classes or labels of one's own.
--
--     lua5.4 train.lua --data DIR --out runs/first
--     lua5.4 train.lua --data labels.csv --path image --root images --labels Effusion,Mass --out runs/findings
--
-- DIR holds NORMAL/ and PNEUMONIA/ (or any class folders), with or without train/, val/, test/ above them. Images below
-- test/ are never looked at here. Without --data it learns from drawn phantoms.
--
-- The same as `luxel train`; what it does is in lua/luxel/command/train.lua.

require("luxel.command").program "train"
