-- Boxes, what region layers say and lose: against plain loops, finite differences, and darknet's own numbers where
-- these are there (LUXEL_DARKNET, default ../shared/darknet).

local core = require "luxel.core"
local lx = require "luxel"
local random = require "luxel.random"
local boxes, F = lx.vision.boxes, lx.nn.functional

local ROOT <const> = os.getenv("LUXEL_DARKNET") or "../shared/darknet"

local function read(path)
    local file = io.open(path, "rb")
    if not file then return nil end
    local text = file:read("a")
    file:close()
    return text
end

local function floats(name)
    local bytes = assert(read(ROOT .. "/tiny/" .. name))
    return lx.from_string(bytes, {#bytes // 4})
end

local function golden(name, f)
    it(name, function()
        if not read(ROOT .. "/micro.json") then return pending("no darknet numbers in " .. ROOT) end
        f()
    end)
end

local function flat(tensor) return tensor:contiguous():reshape(-1):totable() end

local function assert_near(expected, actual, tolerance, what)
    assert.equal(#expected, #actual)
    for i = 1, #expected do
        assert.is_true(math.abs(expected[i] - actual[i]) <= tolerance,
            ("%s %d: %.9g, expected %.9g"):format(what or "number", i, actual[i], expected[i]))
    end
end

-- ---- plain boxes ----------------------------------------------------------------------------------------------

local function area(b) return math.max(0, b[3] - b[1]) * math.max(0, b[4] - b[2]) end

local function plain(kind, a, b)
    local w, h = math.min(a[3], b[3]) - math.max(a[1], b[1]), math.min(a[4], b[4]) - math.max(a[2], b[2])
    local both = math.max(0, w) * math.max(0, h)
    local either = area(a) + area(b) - both
    local iou = either > 0 and both / either or 0
    local hw, hh = math.max(a[3], b[3]) - math.min(a[1], b[1]), math.max(a[4], b[4]) - math.min(a[2], b[2])
    if kind == "giou" then return hw * hh > 0 and iou - (hw * hh - either) / (hw * hh) or iou end
    if kind == "diou" then
        local dx, dy = (a[1] + a[3] - b[1] - b[3]) / 2, (a[2] + a[4] - b[2] - b[4]) / 2
        return hw * hw + hh * hh > 0 and iou - (dx * dx + dy * dy) / (hw * hw + hh * hh) or iou
    end
    return iou
end

local function some_boxes(count, seed, side)
    local stream, list = random.stream(seed), {}
    for i = 1, count do
        local x, y = stream:uniform(0, 1), stream:uniform(0, 1)
        list[i] = {x, y, x + stream:uniform(0.01, side or 0.4), y + stream:uniform(0.01, side or 0.4)}
    end
    return list
end

local function plain_nms(list, scores, most, classes)
    local order, kept = {}, {}
    for i = 1, #list do order[i] = i end
    table.sort(order, function(a, b)
        if scores[a] ~= scores[b] then return scores[a] > scores[b] end
        return a < b
    end)
    for _, i in ipairs(order) do
        local free = true
        for _, k in ipairs(kept) do
            if (not classes or classes[i] == classes[k]) and plain("iou", list[i], list[k]) > most then free = false end
        end
        if free then kept[#kept + 1] = i end
    end
    return kept
end

describe("boxes", function()
    it("overlap as by the definitions", function()
        local a, b = some_boxes(17, 1), some_boxes(9, 2)
        b[3], b[4], b[5] = {0.5, 0.5, 0.5, 0.5}, a[1], {a[2][3], a[2][2], a[2][3] + 1, a[2][4]} -- none, same, touching
        for _, kind in ipairs {"iou", "giou", "diou"} do
            local values = boxes[kind](lx.tensor(a), lx.tensor(b)):totable()
            for i = 1, #a do
                for k = 1, #b do assert.near(plain(kind, a[i], b[k]), values[i][k], 1e-5) end
            end
        end
        assert.same({0}, flat(boxes.iou(lx.tensor {{1, 1, 1, 2}}, lx.tensor {{1, 1, 1, 2}})))
        assert.same({0, 3}, {table.unpack(boxes.iou(lx.zeros(0, 4), lx.zeros(3, 4)).shape)})
    end)

    it("are losses with gradients, also where they do not touch", function()
        local a = lx.tensor({{0, 0, 2, 2}, {1, 1, 4, 3}, {8, 8, 9, 9.5}}, {requires_grad = true})
        local b = lx.tensor {{0.5, 0.7, 2.5, 2.9}, {0.5, 0.25, 5, 4}, {5, 5, 6, 6}}
        for _, kind in ipairs {"iou", "giou", "diou"} do
            assert(lx.gradcheck(function(v) return boxes.loss(v, b, {kind = kind, reduction = "none"}) end, {a}))
            local each = boxes.loss(a, b, {kind = kind, reduction = "none"})
            for i, row in ipairs(a:totable()) do
                assert.near(1 - plain(kind, row, b:totable()[i]), each:totable()[i], 1e-5)
            end
            assert.near(each:sum():item() / 3, boxes.loss(a, b, {kind = kind}):item(), 1e-6)
            assert.near(each:sum():item(), boxes.loss(a, b, {kind = kind, reduction = "sum"}):item(), 1e-5)
            a.grad = nil
            boxes.loss(a, b, {kind = kind}):backward()
            local last = a.grad:totable()[3]
            assert.equal(kind ~= "iou", last[1] ~= 0 or last[2] ~= 0)
        end
        local same = lx.tensor({{1, 1, 1, 1}}, {requires_grad = true})
        boxes.loss(same, same:detach()):backward()
        for _, value in ipairs(flat(same.grad)) do assert.equal(value, value) end
    end)

    it("change their form and come back", function()
        local b = lx.tensor {{1, 2, 4, 8}, {0, 0, 1, 3}}
        assert.same({{2.5, 5, 3, 6}, {0.5, 1.5, 1, 3}}, boxes.convert(b, "corners", "centre"):totable())
        assert.same({{1, 2, 3, 6}, {0, 0, 1, 3}}, boxes.convert(b, "corners", "size"):totable())
        for _, form in ipairs {"centre", "size", "corners"} do
            assert.same(b:totable(), boxes.convert(boxes.convert(b, "corners", form), form, "corners"):totable())
        end
    end)

    it("are suppressed as by a plain loop, in each class by itself", function()
        for seed = 1, 6 do
            local count = ({1, 2, 33, 200, 500, 900})[seed]
            local list = some_boxes(count, seed, ({0.4, 0.4, 0.2, 0.1, 0.6, 0.02})[seed])
            local stream = random.stream(seed, 5)
            local scores, classes = {}, {}
            for i = 1, count do -- of both signs, with ties, 0 and -0
                scores[i], classes[i] = (stream:integer(40) - 20) / 64 * (i % 2 == 0 and -1 or 1),
                    ({-100000, 0, 70000})[stream:integer(3)]
            end
            for _, most in ipairs {0, 0.1, 0.45, 0.6, 0.95} do
                for _, by in ipairs {false, true} do
                    local places, left = boxes.nms(lx.tensor(list), lx.tensor(scores), {
                        iou = most, classes = by and lx.tensor(classes, {dtype = "int32"}) or nil,
                    })
                    local expected = plain_nms(list, scores, most, by and classes)
                    assert.same(expected, places:totable())
                    for i, place in ipairs(expected) do assert.equal(scores[place], left:totable()[i]) end
                end
            end
        end
        local places = boxes.nms(lx.zeros(0, 4), lx.zeros(0))
        assert.equal(0, places:numel())
    end)

    it("are suppressed softly as by a plain loop", function()
        local list, stream = some_boxes(60, 7), random.stream(9)
        local scores, classes = {}, {}
        for i = 1, #list do scores[i], classes[i] = stream:uniform(0, 1), stream:integer(2) end
        for _, method in ipairs {"linear", "gaussian"} do
            local left, taken, remaining = table.move(scores, 1, #scores, 1, {}), {}, {}
            for i = 1, #list do remaining[i] = i end
            while true do
                local best
                for at, i in ipairs(remaining) do
                    if left[i] >= 0.05 and (not best or left[i] > left[remaining[best]]) then best = at end
                end
                if not best then break end
                local i = table.remove(remaining, best)
                taken[#taken + 1] = i
                for _, k in ipairs(remaining) do
                    local iou = plain("iou", list[i], list[k])
                    if classes[i] == classes[k] then
                        if method == "gaussian" then
                            left[k] = left[k] * math.exp(-iou * iou / 0.3)
                        elseif iou > 0.3 then
                            left[k] = left[k] * (1 - iou)
                        end
                    end
                end
            end
            local places, kept = boxes.nms(lx.tensor(list), lx.tensor(scores), {method = method, iou = 0.3, sigma = 0.3,
                least = 0.05, classes = lx.tensor(classes, {dtype = "int32"})})
            assert.same(taken, places:totable())
            for i, place in ipairs(taken) do assert.near(left[place], kept:totable()[i], 1e-5) end
        end
    end)

    it("refuse what has no order or no size", function()
        local b, s = lx.tensor {{0, 0, 1, 1}}, lx.tensor {0.5}
        assert.error_matches(function() boxes.nms(b, lx.tensor {0 / 0}) end, "nms: scores: expected finite numbers")
        assert.error_matches(function() boxes.nms(lx.tensor {{0, 0 / 0, 1, 1}}, s) end, "nms: boxes: expected numbers")
        assert.error_matches(function() boxes.nms(b, lx.ones(2)) end, "nms: scores: expected float32 %[1%]")
        assert.error_matches(function() boxes.nms(b, s, {classes = s}) end, "option 'classes': expected int32 %[1%]")
        assert.error_matches(function() boxes.iou(lx.ones(3), b) end, "iou: a: expected float32 %[N,4%]")
        assert.error_matches(function() boxes.loss(lx.zeros(0, 4), lx.zeros(0, 4)) end, "loss: prediction: .*one box")
    end)

    it("have anchors that are plain pairs, also where no step gains", function()
        for seed = 1, 20 do
            for _, anchor in ipairs(boxes.anchors({{1, 2}, {5, 3}, {9, 9}}, 3, {seed = seed})) do
                local count = 0
                for _ in pairs(anchor) do count = count + 1 end
                assert.equal(2, count)
            end
        end
    end)

    it("have anchors: the groups that sizes fall into", function()
        local sizes, stream = {}, random.stream(3)
        for i = 1, 90 do
            local centre = ({{1, 2}, {6, 5}, {10, 30}})[i % 3 + 1]
            sizes[i] = {centre[1] * stream:uniform(0.95, 1.05), centre[2] * stream:uniform(0.95, 1.05)}
        end
        local anchors, iou = boxes.anchors(sizes, 3)
        for i, centre in ipairs {{1, 2}, {6, 5}, {10, 30}} do
            for side = 1, 2 do assert.near(centre[side], anchors[i][side], 0.03 * centre[side]) end
        end
        local sum = 0
        for _, size in ipairs(sizes) do
            local best = 0
            for _, anchor in ipairs(anchors) do
                best = math.max(best, plain("iou", {0, 0, size[1], size[2]}, {0, 0, anchor[1], anchor[2]}))
            end
            sum = sum + best
        end
        assert.near(sum / 90, iou, 1e-9)
        assert.same(anchors, (boxes.anchors(sizes, 3)))
        assert.is_nil((boxes.anchors({{1, 1}, {1, 1}}, 2)))
        assert.is_nil((boxes.anchors({}, 1)))
        assert.error_matches(function() boxes.anchors({{1, 0}}, 1) end, "anchors: sizes: expected pairs")
    end)
end)

-- ---- the region loss in plain Lua -----------------------------------------------------------------------------

local function sigmoid(x) return 1 / (1 + math.exp(-x)) end

-- Centre and size to corners.
local function corners(x, y, w, h) return {x - w / 2, y - h / 2, x + w / 2, y + h / 2} end

-- The differences of one image, and its loss. `z[a][e][cell]`; objects {x, y, w, h, class from 1}; targets of rescoring
-- are those of `frozen`, where given.
local function plain_region(z, objects, o, height, width)
    local classes = #z[1] - 5
    local d, scale, kinds = {}, {}, {}
    local function box(a, c)
        local v = z[a]
        return corners(((c - 1) % width + sigmoid(v[1][c])) / width, ((c - 1) // width + sigmoid(v[2][c])) / height,
            math.exp(v[3][c]) * o.anchors[a][1] / width, math.exp(v[4][c]) * o.anchors[a][2] / height)
    end
    local function softmax(a, c)
        local sum, out = 0, {}
        for k = 1, classes do sum = sum + math.exp(z[a][5 + k][c]) end
        for k = 1, classes do out[k] = math.exp(z[a][5 + k][c]) / sum end
        return out
    end
    local function aim(a, c, x, y, w, h, s)
        d[a][1][c] = x * width - (c - 1) % width - sigmoid(z[a][1][c])
        d[a][2][c] = y * height - (c - 1) // width - sigmoid(z[a][2][c])
        d[a][3][c] = math.log(w * width / o.anchors[a][1]) - z[a][3][c]
        d[a][4][c] = math.log(h * height / o.anchors[a][2]) - z[a][4][c]
        for e = 1, 4 do scale[a][e][c] = s end
    end
    for a = 1, #z do
        d[a], scale[a], kinds[a] = {}, {}, {}
        for e = 1, 5 + classes do
            d[a][e], scale[a][e] = {}, {}
            for c = 1, height * width do d[a][e][c], scale[a][e][c] = 0, 0 end
        end
        for c = 1, height * width do
            local best = 0
            for _, t in ipairs(objects) do
                best = math.max(best, plain("iou", box(a, c), corners(table.unpack(t, 1, 4))))
            end
            if best <= o.thresh then d[a][5][c], scale[a][5][c] = -sigmoid(z[a][5][c]), o.noobject_scale end
            if o.seen < 12800 then
                aim(a, c, ((c - 1) % width + 0.5) / width, ((c - 1) // width + 0.5) / height, o.anchors[a][1] / width,
                    o.anchors[a][2] / height, 0.01)
            end
        end
    end
    for _, t in ipairs(objects) do
        local x, y, w, h = table.unpack(t, 1, 4)
        local c = (y * height // 1) * width + x * width // 1 + 1
        c = math.tointeger(c)
        local best, which = 0, 1
        for a = 1, #z do
            local b = box(a, c)
            local bw, bh = b[3] - b[1], b[4] - b[2]
            if o.bias_match then bw, bh = o.anchors[a][1] / width, o.anchors[a][2] / height end
            local iou = plain("iou", corners(0, 0, bw, bh), corners(0, 0, w, h))
            if iou > best then best, which = iou, a end
        end
        aim(which, c, x, y, w, h, o.coord_scale * (o.by_size and 2 - w * h or 1))
        local target = o.rescore and plain("iou", box(which, c), corners(x, y, w, h)) or 1
        d[which][5][c], scale[which][5][c] = target - sigmoid(z[which][5][c]), o.object_scale
        for k, p in ipairs(softmax(which, c)) do
            d[which][5 + k][c], scale[which][5 + k][c] = (k == t[5] and 1 or 0) - p, o.class_scale
        end
        kinds[which][c] = t[5]
    end
    local loss = 0
    for a = 1, #z do
        for c = 1, height * width do
            for e = 1, 5 do loss = loss + scale[a][e][c] * d[a][e][c] ^ 2 / 2 end
            if kinds[a][c] then loss = loss - o.class_scale * math.log(softmax(a, c)[kinds[a][c]]) end
        end
    end
    local out = {}
    for a = 1, #z do
        for e = 1, 5 + classes do
            for c = 1, height * width do
                local slope = 1
                if e == 1 or e == 2 or e == 5 then
                    slope = sigmoid(z[a][e][c]) * (1 - sigmoid(z[a][e][c]))
                end
                out[#out + 1] = scale[a][e][c] * d[a][e][c] * slope
            end
        end
    end
    return out, loss
end

local ANCHORS <const> = {{0.8, 1.1}, {2.3, 1.9}, {3.7, 5.2}}

local function by_default(given)
    local o = {anchors = ANCHORS, object_scale = 5, noobject_scale = 1, class_scale = 1, coord_scale = 1, thresh = 0.6,
        rescore = true, bias_match = true, by_size = true, seen = 12800}
    for key, value in pairs(given or {}) do o[key] = value end
    return o
end

local OBJECTS <const> = {
    {{0.3, 0.4, 0.2, 0.3, 1}, {0.31, 0.41, 0.22, 0.31, 2}, {0.9, 0.05, 0.5, 0.6, 2}, {0, 0, 0, 0, 0}},
    {{0.999, 0.999, 0.1, 0.1, 1}, {0, 0, 0, 0, 0}, {0, 0.5, 0.9, 0.2, 1}, {0, 0, 0, 0, 0}},
}

local function objects_of(image)
    local list = {}
    for _, row in ipairs(OBJECTS[image]) do
        if row[5] > 0 then list[#list + 1] = row end
    end
    return list
end

local function nested(map, image, height, width, count)
    local one = map:narrow(1, image, 1):contiguous():reshape(count or 3, 7, height * width)
    return one:totable()
end

local function devices()
    local list = {"cpu"}
    if lx.device("opencl") then list[2] = "opencl" end
    return list
end

describe("region_loss", function()
    local height, width = 5, 4
    local map = lx.randn(2, 21, height, width) * 0.7

    it("and its gradient are those of a plain loop, by each rule and on each device", function()
        for _, device in ipairs(devices()) do
            for _, given in ipairs {{}, {rescore = false}, {bias_match = false}, {by_size = false}, {seen = 12799},
                {seen = 0, by_size = false, rescore = false, bias_match = false}, {thresh = 0.1}, {thresh = 0},
                {object_scale = 2, noobject_scale = 0.5, class_scale = 3, coord_scale = 4}, {coord_scale = 0},
                {reduction = "sum"}} do
                local x = map:to(device):detach():requires_grad_()
                local loss, figures = F.region_loss(x, lx.tensor(OBJECTS):to(device), {anchors = ANCHORS,
                    object_scale = given.object_scale, noobject_scale = given.noobject_scale,
                    class_scale = given.class_scale, coord_scale = given.coord_scale, thresh = given.thresh,
                    rescore = given.rescore, bias_match = given.bias_match, by_size = given.by_size, seen = given.seen,
                    reduction = given.reduction})
                loss:backward()
                local gradient, expected, total = flat(x.grad:to("cpu")), {}, 0
                local share = given.reduction == "sum" and 1 or 0.5
                for image = 1, 2 do
                    local d, one = plain_region(nested(map, image, height, width), objects_of(image), by_default(given),
                        height, width)
                    for _, value in ipairs(d) do expected[#expected + 1] = -share * value end
                    total = total + share * one
                end
                assert_near(expected, gradient, 2e-5, device)
                assert.near(total, loss:item(), 1e-4)
                assert.equal(5, figures.objects)
            end
        end
    end)

    it("has the gradient of finite differences", function()
        for _, given in ipairs {{}, {seen = 0}, {by_size = false}} do
            local x = (lx.randn({1, 14, 3, 3}) * 0.5):detach():requires_grad_()
            assert(lx.gradcheck(function(v)
                return (F.region_loss(v, lx.tensor {{{0.4, 0.7, 0.3, 0.5, 1}, {0.1, 0.1, 0.2, 0.6, 2}}}, {
                    anchors = {{0.6, 1.1}, {2, 1.5}}, rescore = false, seen = given.seen, by_size = given.by_size,
                    thresh = 0.9, -- no box is near enough for a step of the test to take it over
                }))
            end, {x}))
        end
    end)

    it("takes images without objects, and none at all", function()
        for _, truth in ipairs {lx.zeros(2, 3, 5), lx.zeros(2, 0, 5)} do
            local x = map:detach():requires_grad_()
            local loss, figures = F.region_loss(x, truth, {anchors = ANCHORS, reduction = "sum"})
            local expected = 0
            for image = 1, 2 do
                local _, one = plain_region(nested(map, image, height, width), {}, by_default(), height, width)
                expected = expected + one
            end
            assert.near(expected, loss:item(), 1e-4)
            assert.equal(0, figures.objects)
            assert.is_nil(figures.iou)
        end
    end)

    it("refuses objects that are none", function()
        local function refused(row, pattern)
            assert.error_matches(function() F.region_loss(map, lx.tensor {{row}, {row}}, {anchors = ANCHORS}) end,
                pattern)
        end
        refused({0.5, 0.5, 0.1, 0.1, 3}, "region_loss: truth: expected classes from 1 to 2")
        refused({0.5, 0.5, 0.1, 0.1, 1.5}, "region_loss: truth: expected classes from 1 to 2")
        refused({0.5, 0.5, 0.1, 0.1, 0 / 0}, "region_loss: truth: expected classes from 1 to 2")
        refused({1, 0.5, 0.1, 0.1, 1}, "region_loss: truth: expected centres from 0 to below 1")
        refused({0.5, 0.5, 0, 0.1, 1}, "region_loss: truth: expected sizes above 0")
        refused({0.5, 0.5, 0.1, 0 / 0, 1}, "region_loss: truth: expected sizes above 0")
        assert.error_matches(function() F.region_loss(map, lx.zeros(1, 1, 5), {anchors = ANCHORS}) end,
            "truth: expected")
        assert.error_matches(function() F.region_loss(map, lx.zeros(2, 1, 5), {anchors = {{1, 1}, {2, 2}}}) end,
            "region_loss: input: expected %[N,C,H,W%] with C of 2 anchors")
        assert.error_matches(function() F.region_loss(map, lx.zeros(2, 1, 5), {anchors = {{1, 0}}}) end, "'anchors'")
    end)

    golden("gives darknet's differences and costs", function()
        local compared = 0
        local rows = floats("truth.f32"):reshape(-1, 5):totable()
        for _, row in ipairs(rows) do row[5] = row[5] + 1 end
        for fork, settings in pairs {pj = {by_size = true}, al = {through_sigmoid = true}} do
            local costs = assert(read(("%s/tiny/%s/costs.txt"):format(ROOT, fork)))
            local x = floats(fork .. "/train/layer_12.f32"):reshape(1, 21, 8, 8)
            for rescore, match, seen, cost, rest in costs:gmatch("r(%d)_b(%d)_s(%d+) cost (%S+)([^\n]*)") do
                local differences, sums = core.region(x, lx.tensor {rows}, {0.8, 1.1, 2.3, 1.9, 3.7, 5.2}, {
                    rescore = rescore == "1", bias_match = match == "1", warming = tonumber(seen) < 12800,
                    by_size = settings.by_size, through_sigmoid = settings.through_sigmoid,
                })
                assert.near(tonumber(cost), sums.cost, 1e-5 * tonumber(cost))
                local iou, class, object, any, recall = rest:match("IOU: ([%d.]+), Class: ([%d.]+), Obj: ([%d.]+), "
                    .. "No Obj: ([%d.]+), Avg Recall: ([%d.]+)")
                assert.near(tonumber(iou), sums.iou / sums.objects, 2e-6)
                assert.near(tonumber(class), sums.class / sums.objects, 2e-6)
                assert.near(tonumber(object), sums.objectness / sums.objects, 2e-6)
                assert.near(tonumber(any), sums.any / 192, 2e-6)
                assert.near(tonumber(recall), sums.recall / sums.objects, 2e-6)
                if seen ~= "12799" then
                    local expected = floats(("%s/delta_r%s_b%s_s%s.f32"):format(fork, rescore, match, seen)):totable()
                    assert_near(expected, flat(differences), 1e-5, fork)
                    compared = compared + 1
                end
            end
        end
        assert.equal(16, compared)
    end)
end)

-- ---- the loss of YOLO v3 in plain Lua ---------------------------------------------------------------------------

-- The gradient of one image, and its loss: as the paper says it, number by number. `z[a][e][cell]`, anchors in pixels.
local function plain_yolo_loss(z, objects, o, height, width)
    local classes = #z[1] - 5
    local target, weight = {}, {}
    for a = 1, #z do
        target[a], weight[a] = {}, {}
        for c = 1, height * width do target[a][c], weight[a][c] = {}, {} end
    end
    for a = 1, #z do
        local anchor = o.anchors[o.own[a]]
        for c = 1, height * width do
            local v = z[a]
            local box = corners(((c - 1) % width + sigmoid(v[1][c])) / width,
                ((c - 1) // width + sigmoid(v[2][c])) / height, anchor[1] * math.exp(v[3][c]) / o.size[2],
                anchor[2] * math.exp(v[4][c]) / o.size[1])
            local ignored = false
            for _, t in ipairs(objects) do
                ignored = ignored or plain("iou", box, corners(table.unpack(t, 1, 4))) > o.ignore
            end
            if not ignored then target[a][c][5], weight[a][c][5] = 0, o.noobject_scale end
        end
    end
    for _, t in ipairs(objects) do
        local best, which = -1, nil
        for k, anchor in ipairs(o.anchors) do
            local iou = plain("iou", corners(0, 0, anchor[1] / o.size[2], anchor[2] / o.size[1]),
                corners(0, 0, t[3], t[4]))
            if iou > best then best, which = iou, k end
        end
        for a, k in ipairs(o.own) do
            if k == which then
                local column, row = t[1] * width // 1, t[2] * height // 1
                local c = math.tointeger(row * width + column + 1)
                local s = o.coord_scale * (o.by_size and 2 - t[3] * t[4] or 1)
                local to, by = target[a][c], weight[a][c]
                to[1], to[2] = t[1] * width - column, t[2] * height - row
                to[3] = math.log(t[3] * o.size[2] / o.anchors[k][1])
                to[4] = math.log(t[4] * o.size[1] / o.anchors[k][2])
                for e = 1, 4 do by[e] = s end
                to[5], by[5] = 1, o.object_scale
                for n = 1, classes do to[5 + n], by[5 + n] = n == t[5] and 1 or to[5 + n] or 0, o.class_scale end
            end
        end
    end
    local gradient, loss = {}, 0
    for a = 1, #z do
        for e = 1, 5 + classes do
            for c = 1, height * width do
                local to, by, v, slope = target[a][c][e], weight[a][c][e] or 0, z[a][e][c], 0
                if to and (e == 3 or e == 4) then
                    loss, slope = loss + by * (v - to) ^ 2 / 2, by * (v - to)
                elseif to then
                    local p = sigmoid(v)
                    loss = loss - by * (to * math.log(p) + (1 - to) * math.log(1 - p))
                    slope = by * (p - to)
                end
                gradient[#gradient + 1] = slope
            end
        end
    end
    return gradient, loss
end

describe("yolo_loss", function()
    local SIZES <const> = {48, 64}
    local ALL <const> = {{6, 5}, {9, 20}, {14, 12}, {30, 18}, {44, 40}}
    -- two maps, the second one finer
    local MAPS <const> = {
        {own = {4, 5, 3}, map = lx.randn(2, 21, 3, 4) * 0.7}, {own = {1, 2}, map = lx.randn(2, 14, 6, 8) * 0.7},
    }
    local TRUTH <const> = {
        {{0.3, 0.4, 0.2, 0.3, 1}, {0.31, 0.41, 0.22, 0.31, 2}, {0.9, 0.05, 0.1, 0.1, 2}, {0.6, 0.7, 0.6, 0.8, 1},
            {0.61, 0.7, 0.16, 0.4, 2}},
        {{0.999, 0.999, 0.1, 0.1, 1}, {0, 0, 0, 0, 0}, {0, 0.5, 0.5, 0.4, 1}, {0.5, 0.2, 0.15, 0.45, 1},
            {0, 0, 0, 0, 0}},
    }

    local function known(image)
        local list = {}
        for _, row in ipairs(TRUTH[image]) do
            if row[5] > 0 then list[#list + 1] = row end
        end
        return list
    end

    local function with(own, given)
        local o = {
            anchors = ALL, own = own, size = SIZES, ignore = 0.7, by_size = true, object_scale = 1, noobject_scale = 1,
            class_scale = 1, coord_scale = 1,
        }
        for key, value in pairs(given) do o[key] = value end
        return o
    end

    it("and its gradient are those of a plain loop, over each map and on each device", function()
        local objects = 0
        for _, device in ipairs(devices()) do
            for _, given in ipairs {{}, {ignore = 0.3}, {ignore = 0}, {by_size = false}, {coord_scale = 0},
                {object_scale = 3, noobject_scale = 0.5, class_scale = 2, coord_scale = 1.5}, {reduction = "sum"}} do
                for _, one in ipairs(MAPS) do
                    local x = one.map:to(device):detach():requires_grad_()
                    local options = {anchors = ALL, own = one.own, size = SIZES}
                    for key, value in pairs(given) do options[key] = value end
                    local loss, figures = F.yolo_loss(x, lx.tensor(TRUTH):to(device), options)
                    loss:backward()
                    objects = objects + figures.objects
                    local share, expected, total = given.reduction == "sum" and 1 or 0.5, {}, 0
                    local height, width = one.map.shape[3], one.map.shape[4]
                    for image = 1, 2 do
                        local numbers = nested(one.map, image, height, width, #one.own)
                        local gradient, own = plain_yolo_loss(numbers, known(image), with(one.own, given), height,
                            width)
                        for _, value in ipairs(gradient) do expected[#expected + 1] = share * value end
                        total = total + share * own
                    end
                    assert_near(expected, flat(x.grad:to("cpu")), 2e-5, device)
                    assert.near(total, loss:item(), 1e-4 * math.max(1, total))
                    assert.near(total, figures.coordinates + figures.with_object + figures.without_object
                        + figures.classes, 1e-4 * math.max(1, total))
                end
            end
        end
        assert.equal(7 * #devices() * 8, objects) -- each object is up to one map
    end)

    it("has the gradient of finite differences", function()
        for _, one in ipairs(MAPS) do
            assert(lx.gradcheck(function(v)
                return (F.yolo_loss(v, lx.tensor(TRUTH), {anchors = ALL, own = one.own, size = SIZES, ignore = 1}))
            end, {(one.map * 0.7):detach():requires_grad_()}))
        end
    end)

    it("is of numbers that are far from 0 what it is in the limit", function()
        local x = lx.full({1, 7, 1, 1}, -200):requires_grad_()
        local loss = F.yolo_loss(x, lx.tensor {{{0.5, 0.5, 0.5, 0.5, 1}}}, {anchors = {{8, 8}}, own = {1}, size = 16,
            by_size = false, coord_scale = 0})
        assert.near(200 + 200, loss:item(), 1e-2) -- objectness and the right class; the wrong one is right
        loss:backward()
        assert.near(-1, x.grad[{1, 5, 1, 1}], 1e-6)
        assert.near(0, x.grad[{1, 7, 1, 1}], 1e-6)
    end)

    it("leaves out images of which nothing is known, and takes none", function()
        local rows = {TRUTH[1], {}}
        for k = 1, 5 do rows[2][k] = {0 / 0, 0 / 0, 0 / 0, 0 / 0, 0 / 0} end
        local options = {anchors = ALL, own = MAPS[1].own, size = SIZES}
        local x = MAPS[1].map:detach():requires_grad_()
        local loss = F.yolo_loss(x, lx.tensor(rows), options)
        assert.near(F.yolo_loss(MAPS[1].map:narrow(1, 1, 1), lx.tensor {TRUTH[1]}, options):item(), loss:item(), 1e-6)
        loss:backward()
        assert.equal(0, x.grad:narrow(1, 2, 1):abs():sum():item())
        local _, figures = F.yolo_loss(x, lx.zeros(2, 0, 5), options)
        assert.equal(0, figures.objects)
    end)

    it("says what it does not take", function()
        local function refused(more, pattern)
            local options = {anchors = ALL, own = {4, 5, 3}, size = SIZES}
            for key, value in pairs(more) do options[key] = value end
            assert.error_matches(function() F.yolo_loss(MAPS[1].map, lx.tensor(TRUTH), options) end, pattern)
        end
        refused({own = {4, 4, 3}}, "yolo_loss: options: option 'own': expected different numbers of the 5 anchors")
        refused({own = {4, 5, 6}}, "got 6 at place 3")
        refused({own = {}}, "option 'own': there are none")
        refused({own = {1, 2}}, "yolo_loss: input: expected %[N,C,H,W%] with C of 2 anchors")
        refused({anchors = {{1, 1}, {0, 1}, {1, 1}, {1, 1}, {1, 1}}}, "yolo_loss: options: option 'anchors'")
        refused({ignore = 2}, "ignore")
        assert.error_matches(function()
            F.yolo_loss(MAPS[1].map, lx.tensor {{{0.5, 0.5, 1, 1, 3}}, {{0, 0, 0, 0, 0}}}, {anchors = ALL,
                own = {4, 5, 3}, size = SIZES})
        end, "yolo_loss: truth: expected classes from 1 to 2")
    end)
end)

describe("decode_region", function()
    golden("and nms give darknet's detections", function()
        for fork, letter in pairs {pj = true, al = false} do
            local x = floats(fork .. "/infer/layer_12.f32"):reshape(1, 21, 8, 8)
            local found = boxes.decode_region(x, {anchors = ANCHORS, threshold = 0.3})[1]
            local text = assert(read(("%s/tiny/%s/detections_thresh0.3_image640x400.txt"):format(ROOT, fork)))
            local kept = boxes.nms(found.boxes, found.scores, {iou = 0.45, classes = found.classes})
            local all = {}
            for i = 1, found.scores:numel() do all[i] = i end
            for kind, places in pairs {det_raw = all, det_nms = kept:totable()} do
                local expected, mine = {}, {}
                for class, score, x1, y1, w, h in text:gmatch(kind
                    .. " class (%d) prob (%S+) obj %S+ box (%S+) (%S+) (%S+) (%S+)") do
                    expected[#expected + 1] = {tonumber(class), tonumber(score), tonumber(x1), tonumber(y1),
                        tonumber(w), tonumber(h)}
                end
                local pixels = boxes.to_image(found.boxes, 400, 640, {fit = letter and "letterbox" or "stretch",
                    size = 32, clip = false})
                local centred = boxes.convert(pixels, "corners", "centre"):totable()
                local scores, classes = found.scores:totable(), found.classes:totable()
                for i, place in ipairs(places) do
                    local b = centred[place]
                    mine[i] = {classes[place] - 1, scores[place], b[1] / 640, b[2] / 400, b[3] / 640, b[4] / 400}
                end
                for _, list in ipairs {expected, mine} do
                    table.sort(list, function(a, b)
                        if a[1] ~= b[1] then return a[1] < b[1] end
                        return a[2] < b[2]
                    end)
                end
                assert.is_true(#expected > 0)
                assert.equal(#expected, #mine)
                for i = 1, #mine do assert_near(expected[i], mine[i], 2e-4, fork .. " " .. kind) end
            end
        end
    end)

    it("gives each class of a box above the threshold, and empty lists", function()
        local x = lx.zeros(2, 7, 1, 1)
        x[{1, 5, 1, 1}], x[{2, 5, 1, 1}] = 4, -9
        local found = boxes.decode_region(x, {anchors = {{0.5, 0.25}}, threshold = 0.4})
        assert.same({{0.25, 0.375, 0.75, 0.625}, {0.25, 0.375, 0.75, 0.625}}, found[1].boxes:totable())
        assert.same({1, 2}, found[1].classes:totable())
        for _, score in ipairs(found[1].scores:totable()) do assert.near(sigmoid(4) / 2, score, 1e-6) end
        assert.equal(0, found[2].scores:numel())
        assert.same({0, 4}, {table.unpack(found[2].boxes.shape)})
        -- sizes that are no numbers any more are those of boxes around the whole image
        x[{1, 3, 1, 1}], x[{1, 4, 1, 1}] = 800, 95
        local huge = boxes.decode_region(x, {anchors = {{0.5, 0.25}}, threshold = 0.4})[1]
        assert.same({1, 2}, (boxes.nms(huge.boxes, huge.scores, {classes = huge.classes})):totable())
        assert.same({0, 0, 90, 70}, boxes.to_image(huge.boxes, 70, 90):totable()[1])
        assert.error_matches(function() boxes.decode_region(lx.full({1, 7, 1, 1}, 0 / 0), {anchors = {{1, 1}}}) end,
            "NaN")
        assert.error_matches(function() boxes.decode_region(lx.zeros(1, 5, 1, 1), {anchors = {{1, 1}}}) end,
            "decode_region: map: expected channels")
    end)
end)

describe("decode_yolo", function()
    -- The boxes of a map [A(5+K),H,W] as nested lists, by the formulas of Redmon and Farhadi 2018.
    local function plain_yolo(map, anchors, net_height, net_width, threshold)
        local out, classes, height, width = {}, #map // #anchors - 5, #map[1], #map[1][1]
        for i = 1, height do
            for j = 1, width do
                for a, anchor in ipairs(anchors) do
                    local function t(entry) return map[(a - 1) * (5 + classes) + entry][i][j] end
                    local w, h = anchor[1] / net_width * math.exp(t(3)), anchor[2] / net_height * math.exp(t(4))
                    local x, y = (j - 1 + sigmoid(t(1))) / width, (i - 1 + sigmoid(t(2))) / height
                    for k = 1, classes do
                        local score = sigmoid(t(5)) * sigmoid(t(5 + k))
                        if score > threshold then
                            out[#out + 1] = {k, score, x - w / 2, y - h / 2, x + w / 2, y + h / 2}
                        end
                    end
                end
            end
        end
        return out
    end

    it("gives the boxes of a plain loop, of maps that are no squares, on each device", function()
        lx.manual_seed(4)
        local anchors = {{10, 14}, {37, 21}}
        local x = lx.randn(3, 2 * 8, 3, 5)
        for _, device in ipairs(lx.device("opencl") and {"cpu", "opencl"} or {"cpu"}) do
            local found = boxes.decode_yolo(x:to(device), {anchors = anchors, size = {96, 160}, threshold = 0.3})
            assert.equal(3, #found)
            for n, image in ipairs(found) do
                local expected = plain_yolo(x:select(1, n):totable(), anchors, 96, 160, 0.3)
                assert.is_true(#expected > 3)
                assert.equal(#expected, image.scores:numel())
                for i, row in ipairs(expected) do
                    assert.equal(row[1], image.classes:totable()[i])
                    assert.near(row[2], image.scores:totable()[i], 1e-5)
                    for k = 1, 4 do assert.near(row[2 + k], image.boxes:totable()[i][k], 1e-4) end
                end
            end
        end
        assert.same({{10, 14}, {37, 21}}, anchors)
    end)

    it("says what it does not take", function()
        assert.error_matches(function() boxes.decode_yolo(lx.zeros(1, 5, 1, 1), {anchors = {{1, 1}}, size = 32}) end,
            "decode_yolo: map: expected channels")
        assert.error_matches(function() boxes.decode_yolo(lx.zeros(1, 6, 1, 1), {anchors = {{1, 1}}}) end,
            "decode_yolo: options: .*'size'")
    end)
end)

describe("of_map", function()
    -- The connected places of at least a level, by flooding, each with its box and its largest value.
    local function flooded(rows, level)
        local seen, out = {}, {}
        local function key(y, x) return y * 1000 + x end
        for y = 1, #rows do
            for x = 1, #rows[1] do
                if rows[y][x] >= level and not seen[key(y, x)] then
                    local one, stack = {x1 = x, y1 = y, x2 = x, y2 = y, score = 0, area = 0}, {{y, x}}
                    seen[key(y, x)] = true
                    while #stack > 0 do
                        local v, u = table.unpack(table.remove(stack))
                        one.x1, one.x2 = math.min(one.x1, u), math.max(one.x2, u)
                        one.y1, one.y2 = math.min(one.y1, v), math.max(one.y2, v)
                        one.score, one.area = math.max(one.score, rows[v][u]), one.area + 1
                        for dy = -1, 1 do
                            for dx = -1, 1 do
                                local b, a = v + dy, u + dx
                                if rows[b] and rows[b][a] and rows[b][a] >= level and not seen[key(b, a)] then
                                    seen[key(b, a)] = true
                                    stack[#stack + 1] = {b, a}
                                end
                            end
                        end
                    end
                    out[#out + 1] = one
                end
            end
        end
        table.sort(out, function(a, b) return a.score > b.score end)
        return out
    end

    it("has boxes around what is connected and high, those of a plain flood", function()
        lx.manual_seed(3)
        for _, size in ipairs {{13, 29}, {1, 7}, {9, 1}, {24, 24}} do
            local map = lx.rand(1, size[1], size[2]):square()
            local rows, most = map:squeeze(1):totable(), map:max():item()
            for _, case in ipairs {{{}, 0.2 * most}, {{share = 0.7}, 0.7 * most}, {{level = 0.5}, 0.5},
                {{level = 0.4, least = 3}, 0.4}} do
                local expected, kept = flooded(rows, case[2]), {}
                for _, one in ipairs(expected) do
                    if one.area >= (case[1].least or 1) then kept[#kept + 1] = one end
                end
                local found, scores = boxes.of_map(map, case[1])
                assert.equal(#kept, found.shape[1])
                for i, one in ipairs(kept) do
                    assert.same({one.x1 - 1, one.y1 - 1, one.x2, one.y2}, found:totable()[i])
                    assert.equal(one.score, scores:totable()[i])
                end
            end
        end
    end)

    it("has none where nothing is above 0, and says what it does not take", function()
        assert.equal(0, boxes.of_map(lx.zeros(4, 5)).shape[1])
        assert.equal(0, boxes.of_map(lx.full({4, 5}, -1), {level = -2}).shape[1])
        assert.equal(1, boxes.of_map(lx.full({4, 5}, 0.25), {share = 0}).shape[1])
        assert.error_matches(function() boxes.of_map(lx.rand(2, 4, 5)) end, "of_map: map: expected")
        assert.error_matches(function() boxes.of_map(lx.full({2, 2}, 0 / 0)) end, "of_map: map: .*not finite")
        assert.error_matches(function() boxes.of_map(lx.rand(4, 5), {share = 0.5, level = 1}) end, "say one")
    end)
end)

describe("to_image", function()
    local b = lx.tensor {{0.25, 0.5, 0.75, 1}, {-0.5, 0.25, 0.5, 1.5}, {1.25, 0, 1.5, 1}}

    it("brings fractions to pixels, and cuts off what is outside", function()
        assert.same({{20, 20, 60, 40}, {0, 10, 40, 40}, {80, 0, 80, 40}}, boxes.to_image(b, 40, 80):totable())
        assert.same({{20, 20, 60, 40}, {-40, 10, 40, 60}, {100, 0, 120, 40}},
            boxes.to_image(b, 40, 80, {clip = false}):totable())
        assert.same({0, 4}, {table.unpack(boxes.to_image(lx.zeros(0, 4), 3, 3).shape)})
    end)

    it("takes a letterbox back, in both directions, with its rounding", function()
        -- 100 x 33 pixels are 64 x 21 of 64 x 64, from 21.5 on
        local function back(v) return (v * 64 - 21.5) / 21 end
        local wide = boxes.to_image(b, 33, 100, {fit = "letterbox", size = 64, clip = false}):totable()
        local tall = boxes.to_image(b, 100, 33, {fit = "letterbox", size = 64, clip = false}):totable()
        for i, row in ipairs(b:totable()) do
            for k = 1, 4 do
                local along, across = row[k] * 100, back(row[k]) * 33
                assert.near(k % 2 == 1 and along or across, wide[i][k], 1e-3)
                assert.near(k % 2 == 1 and across or along, tall[i][k], 1e-3)
            end
        end
        assert.error_matches(function() boxes.to_image(b, 33, 100, {fit = "letterbox"}) end,
            "to_image: options: option 'size': a letterbox needs")
    end)
end)
