--- How good a trained model is on a folder or a table of labelled radiographs.
--
--     lua5.4 evaluate.lua --model runs/first/best.safetensors --data DIR
--
-- If DIR has a test/ folder, that is what is evaluated. Images that the model was trained on, known by their pixels,
-- and other images of patients that it was trained on are left out.
--
-- The same as `luxel evaluate`; what it does is in lua/luxel/command/evaluate.lua.

require("luxel.command").program "evaluate"
