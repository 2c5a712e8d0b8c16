--- Learns where the lungs are in radiographs with masks, and says how well on patients that were not seen: five
-- networks, each without a fifth of the patients. Ctrl-C stops it, and `--resume` goes on.
-- Usage: lua5.4 cross_validate.lua DATA [OUT] [options of luxel train], where DATA has images/, masks/ and images.csv
--
-- Images of one publication (url) may be of one patient, and count as such. Lateral views have no mask, and the four
-- radiographs of two publications are copies of others': both are left out.

local command = require "luxel.command"

local data, out = arg[1], arg[2] or "runs/lungs"
if not data then error("usage: cross_validate.lua DATA [OUT] [options]", 0) end

os.exit(command.run("train", {
    "--data", data .. "/images.csv", "--path", "image", "--root", data .. "/images", "--leave-out", "view=L",
    "--leave-out", "url=https://www.eurorad.org/case/16660",
    "--leave-out", "url=https://www.sirm.org/2020/05/12/covid-19-caso-72/",
    "--masks", data .. "/masks", "--shows", "lungs", "--patient", "url", "--model", "unet",
    "--network", "width=16,depth=5,batch_norm=true", "--size", "256",
    "--epochs", "30", "--batch", "4", "--lr", "0.002", "--ema", "0.99", "--augment", "strong", "--folds", "5",
    "--out", out, table.unpack(arg, 3),
}), true)
