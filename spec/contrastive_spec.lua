--- Films and words together: the loss beside naive loops, and the example.

local lx = require "luxel"
local shell = require "spec.support.shell"

local F = lx.nn.functional
local LUA <const> = os.getenv("LUA") or "lua5.4"

-- The loss of each pair, from cosines that are computed one by one.
local function naive(x, y, temperature, weight)
    local a, b, cosines, losses = x:totable(), y:totable(), {}, {}
    local function length(row)
        local sum = 0
        for _, value in ipairs(row) do sum = sum + value * value end
        return math.sqrt(sum)
    end
    for i, row in ipairs(a) do
        cosines[i] = {}
        for k, other in ipairs(b) do
            local sum = 0
            for d, value in ipairs(row) do sum = sum + value * other[d] end
            cosines[i][k] = sum / (length(row) * length(other)) / temperature
        end
    end
    for i = 1, #a do
        local row, column = 0, 0
        for k = 1, #a do
            row, column = row + math.exp(cosines[i][k]), column + math.exp(cosines[k][i])
        end
        losses[i] = weight * (math.log(row) - cosines[i][i]) + (1 - weight) * (math.log(column) - cosines[i][i])
    end
    return losses
end

describe("the loss of pairs of films and words", function()
    it("is that of naive loops, on all devices", function()
        lx.manual_seed(2)
        for _, device in ipairs(lx.devices()) do
            for _, case in ipairs {{5, 7, 0.1, 0.75}, {1, 3, 0.5, 0.5}, {33, 17, 0.07, 0}, {8, 4, 1, 1}} do
                local x, y = lx.randn(case[1], case[2]), lx.randn(case[1], case[2])
                local options = {temperature = case[3], weight = case[4], reduction = "none"}
                local losses, sum = F.clip_loss(x:to(device.label), y:to(device.label), options):totable(), 0
                for i, expected in ipairs(naive(x, y, case[3], case[4])) do
                    assert.near(expected, losses[i], 1e-4)
                    sum = sum + expected
                end
                options.reduction = "sum"
                assert.near(sum, F.clip_loss(x, y, options):item(), 1e-3)
                options.reduction = nil
                assert.near(sum / case[1], F.clip_loss(x, y, options):item(), 1e-4)
            end
        end
        local x = lx.randn(4, 3)
        assert.near(F.clip_loss(x, x, {temperature = 0.1, weight = 0.5}):item(), F.clip_loss(x, x):item(), 1e-7)
    end)

    it("has the gradient of finite differences, of the temperature too", function()
        lx.manual_seed(3)
        local function leaf(x) return x:detach():requires_grad_(true) end
        local x, y, t = leaf(lx.randn(4, 5)), leaf(lx.randn(4, 5)), leaf(lx.tensor {0.5})
        assert.is_true(lx.gradcheck(function(a, b, c)
            return F.clip_loss(a, b, {temperature = c, weight = 0.75})
        end, {x, y, t}))
    end)

    it("is least where partners agree", function()
        local x = lx.eye(6)
        local turned = x:index_select(1, lx.tensor({2, 3, 4, 5, 6, 1}, {dtype = "int32"}))
        assert.is_true(F.clip_loss(x, x):item() < 0.01)
        assert.is_true(F.clip_loss(x, turned):item() > 5)
        assert.is_true(F.clip_loss(lx.zeros(3, 2), lx.ones(3, 2)):item() == F.clip_loss(lx.zeros(3, 2), lx.ones(3, 2))
            :item()) -- rows of length 0 give no NaN
    end)

    it("refuses what are no pairs", function()
        for message, f in pairs {
            ["clip_loss: "] = function() F.clip_loss(lx.ones(3, 4), lx.ones(2, 4)) end,
            ["at least one pair"] = function() F.clip_loss(lx.ones(0, 4), lx.ones(0, 4)) end,
            ["option 'temperature': expected one number, got float32 [2]"] = function()
                F.clip_loss(lx.ones(3, 4), lx.ones(3, 4), {temperature = lx.ones(2)})
            end,
            ["weight"] = function() F.clip_loss(lx.ones(3, 4), lx.ones(3, 4), {weight = 2}) end,
        } do
            local ok, why = pcall(f)
            assert.is_false(ok)
            assert.matches(message, why, 1, true)
        end
    end)
end)

describe("phantoms with reports", function()
    package.path = "examples/words/?.lua;" .. package.path
    local phantoms = require "phantoms"

    it("say what is on them", function()
        local set = phantoms.make {n = 60, size = 32, seed = 5, held_back = false}
        assert.same({60, 1, 32, 32}, set.images.shape)
        local names <const> = {
            opacity = {"opacity", "consolidation"}, nodule = {"nodule"}, effusion = {"effusion", "pleural fluid"},
            pneumothorax = {"pneumothorax"}, ["enlarged heart"] = {"enlarged heart", "cardiomegaly"},
        }
        for i, report in ipairs(set.reports) do
            for name, words in pairs(names) do
                local said = false
                for sentence in report:lower():gmatch("[^.]+") do
                    local denied = sentence:find("%f[%a]no%f[%A]") or sentence:find("%f[%a]not%f[%A]")
                    for _, word in ipairs(words) do
                        if sentence:find(word, 1, true) and not denied then said = true end
                    end
                end
                assert.equal(set.labels[name][i] == 1, said, name .. ": " .. report)
            end
        end
    end)

    it("are the same for the same seed, and held-back words are words of the others", function()
        local a, b = phantoms.make {n = 5, size = 32, seed = 5, held_back = true},
            phantoms.make {n = 5, size = 32, seed = 5, held_back = true}
        assert.same(a.reports, b.reports)
        assert.equal(0, (a.images:float() - b.images:float()):abs():max():item())
        local known, sentences = {}, {}
        for _, report in ipairs(phantoms.make({n = 400, size = 16, seed = 1, held_back = false}).reports) do
            for word in report:lower():gmatch("%a+") do known[word] = true end
            for sentence in report:gmatch("[^.]+") do sentences[sentence:match("^%s*(.*)$")] = true end
        end
        local fresh, all = 0, 0
        for _, report in ipairs(phantoms.make({n = 100, size = 16, seed = 2, held_back = true}).reports) do
            for word in report:lower():gmatch("%a+") do assert.is_true(known[word], word) end
            for sentence in report:gmatch("[^.]+") do
                all = all + 1
                if not sentences[sentence:match("^%s*(.*)$")] then fresh = fresh + 1 end
            end
        end
        assert.is_true(fresh > 0.8 * all, fresh .. " of " .. all)
    end)
end)

describe("the example of films and words #processes", function()
    it("learns, and says what it is worth", function()
        local work = shell.folder()
        local status, output, errors = shell.run(LUA .. " examples/words/contrastive.lua --films 192 --epochs 4 "
            .. "--size 32 --test 60 --resamples 20 --device cpu --maps " .. work .. "/map")
        assert.equal(0, status, errors)
        local first, last = output:match("epoch 1 of 4  loss ([%d.]+)"), output:match("epoch 4 of 4  loss ([%d.]+)")
        assert.is_true(tonumber(last) < tonumber(first), output)
        for _, name in ipairs {"opacity", "nodule", "effusion", "pneumothorax"} do
            assert.matches("by chance 0.5", output:match("heat maps of words.*\n  " .. name .. " +[01]%.%d+ %[[^\n]+"))
        end
        assert.is_nil(output:match("heat maps of words.*enlarged heart")) -- has no side
        assert.matches("macro +AUC 0%.%d+ %[0%.%d+, [01]%.%d+%]", output)
        assert.matches("a film's report among the first 5 of 60: 0%.%d+ %[", output)
        assert.matches("does not replace one", output)
        assert.equal(32, assert(lx.vision.load(work .. "/map-effusion.png")).shape[2])
        shell.remove(work)
    end)
end)

describe("the example of masked words #processes", function()
    it("learns, and looks for reports in every way", function()
        local work = shell.folder()
        local lines = {"uid,findings,impression,MeSH"}
        for i = 1, 60 do
            local name = ({"effusion", "opacity", "nodule"})[i % 3 + 1]
            lines[#lines + 1] = ('%d,"There is a %s of the %s lung. No pneumothorax.",A %s is seen.,%s'):format(i, name,
                i % 2 == 0 and "left" or "right", name, i % 7 == 0 and "normal" or name .. "/lung;other")
        end
        lines[#lines + 1] = "61,,,No Indexing"
        local path = shell.write(work .. "/reports.csv", table.concat(lines, "\n") .. "\n")
        local status, output, errors = shell.run(("%s examples/words/masked.lua %s --epochs 4 --vocabulary 280 "
            .. "--length 40 --width 16 --resamples 20 --device cpu --out %s/words"):format(LUA, path, work))
        assert.equal(0, status, errors)
        assert.matches("40 reports to learn from, 20 held back", output)
        local first, last = output:match("before: loss ([%d.]+)"), output:match("epoch 4 of 4  loss [%d.]+  held back: "
            .. "loss ([%d.]+)")
        assert.is_true(tonumber(last) < tonumber(first), output)
        for _, way in ipairs {"any order", "BM25, words alone", "BM25 by the rules", "vectors"} do
            assert.is_truthy(tonumber(output:match("\n  " .. way .. " +%+([%d.]+) %[")), output)
        end
        assert(lx.text.load_tokenizer(work .. "/words/reports.tokens"))
        assert.is_truthy(assert(lx.load(work .. "/words/words.safetensors"))["embedding.weight"])
        shell.remove(work)
    end)
end)

describe("the example of sentences made of labels #processes", function()
    it("learns them with films, and says what they are worth", function()
        local work = shell.folder()
        assert(os.execute("mkdir -p " .. work .. "/images"))
        local names = {
            "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
            "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
        }
        local lines = {"image,patient_id," .. table.concat(names, ",")}
        for i = 1, 30 do
            local film = lx.rand(1, 32, 32) * 200
            assert(lx.vision.save(("%s/images/%d.png"):format(work, i), film:byte()))
            local cells = {("%d.png"):format(i), i}
            for k = 1, 14 do cells[k + 2] = (i + k) % 5 == 0 and 1 or 0 end
            lines[#lines + 1] = table.concat(cells, ",")
        end
        shell.write(work .. "/labels.csv", table.concat(lines, "\n") .. "\n")
        lx.manual_seed(1) -- weights that are worth nothing show that all of it works
        local weights = lx.models.efficientnet_lite0({outputs = 1}):state_dict()
        assert(lx.checkpoint.save(work .. "/lite0.safetensors", weights, {
            schema = require("luxel.schema").VERSION, task = "binary", version = "test", model = "efficientnet_lite0",
            size = 32, seed = 1, input = {channels = 1, low = 0, high = 1}, epoch = 1,
            normalisation = {mean = 0.5, std = 0.25},
        }))
        local status, output, errors = shell.run(("%s examples/words/nih.lua --nih %s --weights %s/lite0.safetensors "
            .. "--size 32 --folds 3 --epochs 2 --batch 8 --resamples 10"):format(LUA, work, work))
        assert.equal(0, status, errors)
        assert.matches("fold 3: loss [%d.]+, 10 films and reports held back", output)
        for _, name in ipairs(names) do assert.matches("\n  " .. name .. " +AUC [01]%.%d+ %[", output) end
        assert.matches("a film's report among the first 5 of its fold: [01]%.%d+ %[[01]%.%d+, [01]%.%d+%], by chance "
            .. "0.500", output)
        assert.matches("is circular", output)
        shell.remove(work)
    end)
end)
