--- Draws the sentences that spec/support/report_sentences.lua has the labels of: 200 of the distinct ones in the test
--- third, and 100 more among those with a word of doubt, which are rare. Prints id, number and sentence, to be read
--- by a person; nothing is labelled here.
--
--     lua5.4 bench/labeler/draw.lua REPORTS.csv

local csv = require "luxel.io.csv"
local mesh = dofile "bench/labeler/mesh.lua"
local sentences = require "luxel.text.sentences"

local DOUBT <const> = {"may", "might", "possibl", "probabl", "likely", "cannot", "suggest", "could", "versus",
    "borderline", "suspect", "question", "concern", "equivocal", "or "}

local plain, doubtful, seen = {}, {}, {}
for _, row in ipairs(assert(csv.read(arg[1]))) do
    if mesh.is_test(row.uid) then
        local number = 0
        for _, section in ipairs {"findings", "impression"} do
            for _, sentence in ipairs(sentences(row[section])) do
                number = number + 1
                local key = sentence.text:lower():gsub("%W+", " ")
                if not seen[key] then
                    seen[key] = true
                    local one, doubt = ("%s\t%d\t%s"):format(row.uid, number, sentence.text), false
                    for _, word in ipairs(DOUBT) do doubt = doubt or (" " .. key):find(" " .. word, 1, true) end
                    plain[#plain + 1] = one
                    if doubt then doubtful[#doubtful + 1] = one end
                end
            end
        end
    end
end
math.randomseed(20261201)
local drawn, count = {}, 0
local function draw(from, n)
    local wanted = count + n
    while count < wanted do
        local one = table.remove(from, math.random(#from))
        if not drawn[one] then
            drawn[one], count = true, count + 1
            print(one)
        end
    end
end
draw(plain, 200)
draw(doubtful, 100)
