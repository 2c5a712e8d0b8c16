--- `luxel detect predict`: the boxes that a model finds in new radiographs, with their scores.
--
--     luxel detect predict --model runs/boxes/best.safetensors film.dcm --out pictures
--     luxel detect predict --model runs/boxes/best.safetensors --json folder/ >boxes.jsonl

local predict = require "luxel.command.predict"

local command = {summary = "Finds objects in radiographs."}

--- Adds the options of the command.
function command.options(parser)
    predict.add_images(parser)
    parser:option("--model", "Model file that detect train wrote."):count(1)
    parser:option("--threshold", "Score from which on boxes are told (default: the model's, chosen on its validation "
        .. "images)."):convert(function(text)
            local score = tonumber(text)
            if score and score >= 0 and score <= 1 then return score end
            return nil, ("--threshold: expected a number from 0 to 1, got '%s'"):format(text)
        end)
    parser:option("--out", "Folder for the images in their own size, with the boxes drawn and what was found in a "
        .. "margin.")
    parser:option("--coco", "Write the boxes to this file too, as COCO's results.")
end

--- Runs the command.
---@param args table the options
---@return integer status
function command.run(args)
    args.model, args.detects = {args.model}, true
    return predict.run(args)
end

return command
