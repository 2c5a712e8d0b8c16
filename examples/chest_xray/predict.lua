--- Says for new radiographs whether they look infected, and how sure the model is.
--
--     lua5.4 predict.lua --model runs/first/best.safetensors xray.jpeg
--     lua5.4 predict.lua --model runs/first/best.safetensors --format csv --out pictures folder/ >answers.csv
--
-- The same as `luxel predict`; what it does is in lua/luxel/command/predict.lua.

require("luxel.command").program "predict"
