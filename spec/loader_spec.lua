local core = require "luxel.core"
local lfs = require "lfs"
local lx = require "luxel"
local shell = require "spec.support.shell"

local folder

setup(function()
    folder = shell.folder()
end)

teardown(function() shell.remove(folder) end)

-- A folder of grey images of odd sizes, each of a level of its own, and their frame.
local function make_frame(name, count, side)
    local root = folder .. "/" .. name
    lfs.mkdir(root)
    for _, class in ipairs {"NORMAL", "PNEUMONIA"} do lfs.mkdir(root .. "/" .. class) end
    for i = 1, count do
        local height, width = side or 11 + i, side or 7 + i * 2
        local image = lx.full({1, height, width}, i):byte()
        local class = i % 3 == 0 and "PNEUMONIA" or "NORMAL"
        assert(lx.vision.save(("%s/%s/%03d.png"):format(root, class, i), image))
    end
    return assert(lx.data.image_folder(root)), root
end

-- Everything that an epoch gives, by default the first one, as strings of bytes.
local function bytes_of(dataset, options)
    options.epoch = options.epoch or 1
    local out = {}
    for x, y, indices in lx.data.batches(dataset, options) do
        out[#out + 1] = x:tostring_bytes() .. y:tostring_bytes() .. indices:tostring_bytes()
    end
    return out
end

local function threads_now()
    for line in io.lines("/proc/self/status") do
        local number = line:match("^Threads:%s*(%d+)")
        if number then return tonumber(number) end
    end
end

-- A thread that was waited for may be counted for a moment after it ended.
local function assert_threads(count)
    local deadline = core.now() + 5
    while threads_now() ~= count and core.now() < deadline do end
    assert.equal(count, threads_now())
end

-- How many there are, without those that are only counted for a moment longer.
local function threads_before()
    local least, deadline = threads_now(), core.now() + 0.3
    while core.now() < deadline do least = math.min(least, threads_now()) end
    return least
end

local function files_in(path)
    local names = {}
    for name in lfs.dir(path) do
        if name ~= "." and name ~= ".." then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

-- Replaces bytes of a file; the time of change stays.
local function patch(path, offset, bytes)
    local file = assert(io.open(path, "r+b"))
    file:seek("set", offset)
    file:write(bytes)
    file:close()
end

describe("images of their own sizes", function()
    local frame
    setup(function() frame = make_frame("sizes", 17) end)

    it("are decoded when they are wanted, at the size that batches have", function()
        local dataset = assert(frame:open {size = 13})
        assert.equal(17, #dataset)
        assert.equal(0, dataset:source():info().memory)
        local seen = 0
        for x, _, indices in lx.data.batches(dataset, {batch = 4}) do
            assert.same({indices.shape[1], 1, 13, 13}, x.shape)
            for i, index in ipairs(indices:totable()) do
                local level = tonumber(dataset.paths[index]:match("(%d+)%.png")) / 255
                assert.is_true(lx.allclose(x[{{i}}], lx.full({1, 1, 13, 13}, level), 0, 1e-6))
                seen = seen + 1
            end
        end
        assert.equal(17, seen)
        assert.is_true(dataset:source():info().memory > 0)
        assert.same({1, 12, 9}, dataset:image(1).shape)
        assert.matches("17 images in their own sizes", tostring(dataset))
    end)

    it("may be one pixel wide", function()
        local dataset, seen = assert(frame:open {size = 1}), 0
        for x in lx.data.batches(dataset, {batch = 17}) do
            assert.same({17, 1, 1, 1}, x.shape)
            seen = seen + 1
        end
        assert.equal(1, seen)
    end)

    it("are kept up to a limit", function()
        local dataset = assert(frame:open {size = 13, memory = 2000})
        local first = bytes_of(dataset, {batch = 5, epoch = 2})
        local kept = dataset:source():info().memory
        assert.is_true(kept > 1000 and kept <= 2000)
        assert.same(first, bytes_of(dataset, {batch = 5, epoch = 2}))
        assert.same(first, bytes_of(assert(frame:open {size = 13, memory = 0}), {batch = 5, epoch = 2}))
    end)

    it("can be reduced when they are read", function()
        local dataset = assert(frame:open {size = 13, reduce = 12})
        assert.same({1, 12, 9}, dataset:image(1).shape) -- shorter than 12 already
        assert.same({1, 12, 16}, dataset:image(8).shape) -- 011.png, 22x29
    end)

    it("give subsets and splits", function()
        local dataset = assert(frame:open {size = 13})
        local part = dataset:subset({5, 3}):subset {2, 1}
        assert.same({dataset.paths[3], dataset.paths[5]}, part.paths)
        assert.is_true(lx.equal(part:image(1), dataset:image(3)))
        local _, _, indices = lx.data.batches(part, {shuffle = false, batch = 2})()
        assert.same({1, 2}, indices:totable())
        local train, val = assert(dataset:split {val = 0.3})
        assert.equal(17, #train + #val)
    end)
end)

describe("a loader", function()
    local frame, dataset
    setup(function()
        frame = make_frame("loader", 23)
        dataset = assert(frame:open {size = 16})
    end)

    it("gives the same bits with any number of threads, and ahead or not", function()
        for _, augment in ipairs {false, true} do
            local expected = bytes_of(dataset, {batch = 4, threads = 0, augment = augment})
            for _, options in ipairs {
                {threads = 1}, {threads = 3}, {threads = 2, memory = 0}, {threads = 5, memory = 1e9},
            } do
                options.batch, options.augment = 4, augment
                assert.same(expected, bytes_of(dataset, options))
            end
            assert.not_same(expected, bytes_of(dataset, {batch = 4, epoch = 2, augment = augment}))
        end
    end)

    it("gives the same bits from files, from memory and from a cache", function()
        local cached = assert(frame:open {size = 16, cache = folder .. "/same.cache"})
        assert.same(bytes_of(dataset, {augment = true}), bytes_of(cached, {augment = true}))
    end)

    it("names the file that cannot be read, at its batch, and ends", function()
        local broken, root = make_frame("broken", 12)
        local file = assert(io.open(root .. "/NORMAL/007.png", "w"))
        file:write("no image")
        file:close()
        for _, threads in ipairs {0, 2} do
            local done = 0
            local ok, problem = pcall(function()
                local options = {batch = 3, shuffle = false, threads = threads}
                for _ in lx.data.batches(assert(broken:open {size = 9}), options) do
                    done = done + 1
                end
            end)
            assert.is_false(ok)
            assert.matches("007%.png", problem)
            assert.equal("format", (core.error_code(problem)))
            assert.equal(1, done) -- 001, 002, 004 | 005, 007, ...
        end
    end)

    it("ends its threads when the loop is left, whichever way", function()
        local before = threads_before()
        for _, _, indices in lx.data.batches(dataset, {batch = 2, threads = 4}) do
            assert_threads(before + 4)
            if indices then break end
        end
        assert_threads(before)
        pcall(function()
            for _ in lx.data.batches(dataset, {batch = 2, threads = 4}) do error("enough") end
        end)
        assert_threads(before)
        local work = coroutine.create(function()
            for _ in lx.data.batches(dataset, {batch = 2, threads = 4}) do coroutine.yield() end
        end)
        coroutine.resume(work)
        assert_threads(before + 4)
        coroutine.close(work)
        assert_threads(before)
        do
            local abandoned = lx.data.batches(dataset, {batch = 2, threads = 4})
            abandoned()
        end
        collectgarbage()
        collectgarbage()
        assert_threads(before)
    end)

    it("normalises levels of 8 and of 16 bits alike", function()
        local root = folder .. "/deep"
        os.execute(("mkdir -p '%s/NORMAL' '%s/PNEUMONIA'"):format(root, root))
        local function write(path, white, pack, levels)
            local file = assert(io.open(root .. "/" .. path, "wb"))
            file:write(("P5 3 3 %d\n"):format(white), string.pack(pack, table.unpack(levels)))
            file:close()
        end
        write("NORMAL/a.pgm", 65535, ">I2I2I2I2I2I2I2I2I2", {0, 13107, 65535, 0, 13107, 65535, 0, 13107, 65535})
        write("PNEUMONIA/b.pgm", 255, "BBBBBBBBB", {0, 51, 255, 0, 51, 255, 0, 51, 255})
        local deep = assert(assert(lx.data.image_folder(root)):open {size = 3})
        for x in lx.data.batches(deep, {batch = 2, shuffle = false, mean = 0.25, std = 0.5}) do
            for i = 1, 2 do
                local row = x[i]:flatten():totable()
                for k, level in ipairs {0, 0.2, 1} do assert.near((level - 0.25) / 0.5, row[k], 1e-5) end
            end
        end
    end)

    it("balances the classes", function()
        local counts, images = {[0] = 0, 0}, {}
        for _, y, indices in lx.data.batches(dataset, {batch = 5, balanced = true}) do
            for i, index in ipairs(indices:totable()) do
                counts[y[{i, 1}]] = counts[y[{i, 1}]] + 1
                images[index] = (images[index] or 0) + 1
            end
        end
        assert.same({[0] = 12, 11}, counts)
        for i = 1, #dataset do -- 16 normal, 7 infected: one or two times each of the seven, at most once the others
            if dataset.labels[i] == 1 then
                assert.is_true(images[i] == 1 or images[i] == 2)
            else
                assert.is_true((images[i] or 0) <= 1)
            end
        end
        assert.not_same(bytes_of(dataset, {balanced = true}), bytes_of(dataset, {balanced = true, epoch = 2}))
    end)

    it("balances groups and classes, and no image comes too often", function()
        local labels, groups = {}, {}
        for cell, count in pairs {a0 = 10, a1 = 11, b0 = 6, b1 = 1, c1 = 2} do
            for _ = 1, count do
                labels[#labels + 1] = tonumber(cell:sub(2))
                groups[#groups + 1] = cell:sub(1, 1) == "c" and 7 or cell:sub(1, 1)
            end
        end
        labels[#labels + 1], groups[#groups + 1] = 0 / 0, "a" -- 31 images, of which one has no label
        local set = lx.data.dataset {images = lx.zeros({31, 1, 4, 4}, {dtype = "uint8"}), labels = labels,
            classes = {"normal", "ill"}}
        local function counts(options)
            local by_cell, images, order = {}, {}, {}
            options.batch, options.seed = 7, 5
            for _, _, indices in lx.data.batches(set, options) do
                for _, index in ipairs(indices:totable()) do
                    local cell = groups[index] .. math.tointeger(labels[index])
                    by_cell[cell], order[#order + 1] = (by_cell[cell] or 0) + 1, index
                    images[index] = (images[index] or 0) + 1
                end
            end
            local often, total = {}, 0
            for index, times in pairs(images) do
                local cell = groups[index] .. math.tointeger(labels[index])
                often[cell], total = math.max(often[cell] or 0, times), total + times
            end
            assert.equal(31, total)
            return by_cell, often, order
        end
        -- 31 by five cells would be six each
        local by_cell, often, order = counts {balance = {groups = groups}, epoch = 1}
        assert.equal(4, by_cell.b1)
        assert.equal(4, often.b1)
        assert.equal(6, by_cell["71"])
        assert.equal(3, often["71"])
        for _, cell in ipairs {"a0", "a1", "b0"} do assert.equal(7, by_cell[cell]) end
        assert.equal(1, often.a0)
        assert.equal(2, often.b0)
        by_cell = counts {balance = {groups = groups, most = 100}, epoch = 1}
        assert.equal(6, by_cell.b1)
        by_cell, often = counts {balance = {groups = groups, most = 1}, epoch = 1}
        assert.equal(2, by_cell.b1) -- 30 images have a label, and 31 are wanted
        assert.equal(2, often.b1)
        local _, _, again = counts {balance = {groups = groups}, epoch = 1}
        local _, _, other = counts {balance = {groups = groups}, epoch = 2}
        assert.same(order, again)
        assert.not_same(order, other)
        local function with(options) return function() lx.data.batches(set, options) end end
        assert.error_matches(with {balance = {groups = {"a"}}}, "the group of each of the 31 images, got 1")
        groups[3] = 1.5
        assert.error_matches(with {balance = {groups = groups}}, "groups: %[3%]: expected a text or an integer, got")
        assert.error_matches(with {balance = {groups = groups}, balanced = true}, "leave out 'balanced'")
        assert.error_matches(with {balance = {groop = groups}}, "groop")
        assert.error_matches(with {balance = {}}, "groups")
    end)

    it("draws anew for an image that comes again", function()
        local lone = dataset:subset {1, 2, 3, #dataset} -- three of one class, one of the other
        local drawn = {}
        for x, _, indices in lx.data.batches(lone, {balanced = true, batch = 1, augment = {{"brightness", 0.5}}}) do
            if indices[1] == 4 then drawn[#drawn + 1] = x[{1, 1, 8, 8}] end
        end
        assert.equal(2, #drawn)
        assert.not_equal(drawn[1], drawn[2])
    end)

    it("takes masks along", function()
        local masks = {}
        for i, path in ipairs(dataset.paths) do
            local image = dataset:image(i)
            local mask = lx.zeros({1, image.shape[2], image.shape[3]}, {dtype = "uint8"})
            mask:narrow(2, 1, 4):fill_(200)
            masks[i] = ("%s/mask-%s"):format(folder, path:match("[^/]+$"))
            assert(lx.vision.save(masks[i], mask))
        end
        local with = dataset:subset {4, 9, 2}
        with.masks = {masks[4], masks[9], masks[2]}
        local plain = lx.data.batches(with, {batch = 3, shuffle = false})
        local _, _, _, m = plain()
        assert.same({3, 1, 16, 16}, m.shape)
        assert.equal("uint8", m.dtype)
        assert.equal(200, m[{1, 1, 1, 5}])
        assert.equal(0, m[{1, 1, 16, 5}])
        assert.same({200}, {m:max():item()})
    end)

    it("takes boxes along, whatever size the images are kept at", function()
        local expected, options = nil, {batch = 23, augment = {{"hflip"}, {"rotate", 5}, {"shift", 0.1}}, epoch = 3}
        for _, open in ipairs {{size = 16}, {size = 16, reduce = 7}, {size = 16, cache = folder .. "/boxes.cache"}} do
            local set = assert(frame:open(open))
            set.boxes = {}
            for i = 1, #set do
                local info = assert(lx.vision.probe(set.paths[i]))
                set.boxes[i] = i ~= 2 and {{x = 0, y = 0, w = info.width, h = info.height / 2, class = i}} or nil
            end
            local x, _, indices, _, boxes = lx.data.batches(set, options)()
            assert.equal(23, #boxes)
            for i, index in ipairs(indices:totable()) do
                assert.equal(index == 2 and 0 or 1, #boxes[i])
                for _, box in ipairs(boxes[i]) do
                    assert.equal(index, box.class)
                    assert.is_true(box.x >= 0 and box.y >= 0 and box.x + box.w < 16.01 and box.y + box.h < 16.01)
                    assert.is_true(box.w > 12 and box.h > 5 and box.h < 13, ("%g x %g"):format(box.w, box.h))
                end
            end
            assert.same({23, 1, 16, 16}, x.shape)
            expected = expected or boxes
            assert.same(expected, boxes)
            -- as the pipeline itself takes them
            local aug = lx.vision.pipeline {{"hflip"}, {"rotate", 5}, {"shift", 0.1}, size = 16}
            local place = indices:totable()
            local _, _, alone = aug(lx.zeros(1, lx.vision.probe(set.paths[place[1]]).height,
                lx.vision.probe(set.paths[place[1]]).width), {epoch = 3, index = place[1], boxes = set.boxes[place[1]]})
            assert.same(alone, boxes[1])
        end
    end)

    it("goes on within an epoch as if it had not stopped, also where images come again", function()
        local options = {batch = 3, balanced = true, augment = {{"brightness", 0.5}}}
        local whole = bytes_of(dataset, options)
        options.skip = 4
        assert.same(table.move(whole, 5, #whole, 1, {}), bytes_of(dataset, options))
    end)

    it("takes masks of other sizes along, reduced as the images are", function()
        local masks, finer, reduced = {}, {}, assert(frame:open {size = 16, reduce = 7})
        for i = 1, #dataset do
            local _, height, width = table.unpack(dataset:image(i).shape)
            local mask = lx.arange(height * width):view(1, height, width):byte()
            masks[i], finer[i] = ("%s/coarse-%d.png"):format(folder, i), ("%s/fine-%d.png"):format(folder, i)
            assert(lx.vision.save(masks[i], mask))
            assert(lx.vision.save(finer[i], lx.vision.resize(mask, height * 3, width * 3, {mode = "nearest"})))
        end
        local function masks_of(set, files, options)
            set.masks = files
            local bytes = {}
            options.batch = #set
            for _, _, _, m in lx.data.batches(set, options) do bytes[#bytes + 1] = m:tostring_bytes() end
            return bytes
        end
        local options = {augment = {{"rotate", 20}, {"elastic", 0.05}, {"zoom", 0.2}}, epoch = 1}
        local expected = masks_of(dataset, masks, options)
        assert.same(expected, masks_of(dataset, finer, options))
        assert.not_same(expected, masks_of(reduced, masks, options))
        -- labels are picked, not mixed: every other one here
        local striped, path = lx.zeros({1, 60, 60}, {dtype = "uint8"}), folder .. "/striped.png"
        striped:view(1, 60, 30, 2):narrow(4, 1, 1):fill_(9)
        assert(lx.vision.save(path, striped))
        local square = reduced:subset {1}
        square.masks = {path}
        local _, _, _, seen = lx.data.batches(square, {batch = 1})()
        for _, level in ipairs(seen:flatten():totable()) do assert.is_true(level == 0 or level == 9) end
        assert(lx.vision.save(path, lx.zeros({1, 9, 60}, {dtype = "uint8"})))
        square.masks = {path}
        assert.error_matches(function() lx.data.batches(square, {batch = 1})() end,
            "the mask has 7 x 47 pixels, its image 9 x 7: not in the same proportion")
    end)

    it("refuses what it cannot do, naming it", function()
        local function with(options) return function() lx.data.batches(dataset, options) end end
        assert.error_matches(with {batch = 0}, "batch")
        assert.error_matches(with {threads = -1}, "threads")
        assert.error_matches(with {colour = true}, "colour")
        assert.error_matches(with {augment = {{"rotat", 10}}}, "rotat")
        assert.error_matches(function() frame:open {channels = 2} end, "channels")
    end)
end)

describe("a cache of decoded images", function()
    local frame, root, path
    before_each(function()
        os.execute(("rm -rf '%s/cached' '%s/c'"):format(folder, folder))
        frame, root = make_frame("cached", 9)
        lfs.mkdir(folder .. "/c")
        path = folder .. "/c/images.cache"
    end)

    local function inode() return lfs.attributes(path, "ino") end

    it("is made once, and used again", function()
        local seen
        local dataset = assert(frame:open {size = 12, cache = path, progress = function(done, total)
            seen = {done, total}
        end})
        assert.same({9, 9}, seen)
        assert.same({"images.cache"}, files_in(folder .. "/c"))
        assert.is_true(dataset:source():info().cached)
        local first, made = bytes_of(dataset, {}), inode()
        seen = nil
        local again = assert(frame:open {size = 12, cache = path, progress = function() seen = true end})
        assert.is_nil(seen)
        assert.equal(made, inode())
        assert.same(first, bytes_of(again, {}))
    end)

    it("is made anew when an image, an option or the list changes", function()
        assert(frame:open {size = 12, cache = path})
        local before = inode()
        assert(lx.vision.save(root .. "/NORMAL/001.png", lx.full({1, 9, 9}, 77):byte()))
        local dataset = assert(frame:open {size = 12, cache = path})
        assert.not_equal(before, inode())
        assert.equal(77, dataset:image(1)[{1, 1, 1}])
        before = inode()
        assert(frame:open {size = 12, cache = path, reduce = 5})
        assert.not_equal(before, inode())
        before = inode()
        assert(frame:filter(function(_, i) return i > 1 end):open {size = 12, cache = path})
        assert.not_equal(before, inode())
    end)

    it("is made anew when it is cut short or damaged where it says what is where", function()
        local expected = bytes_of(assert(frame:open {size = 12, cache = path}), {})
        local size = lfs.attributes(path, "size")
        for _, damage in ipairs {
            function() os.execute(("truncate -s %d '%s'"):format(size - 1, path)) end,
            function() os.execute(("truncate -s 10 '%s'"):format(path)) end,
            function() os.execute((": > '%s'"):format(path)) end,
            function() patch(path, 8, "X") end,
            function() patch(path, size - 8, "X") end,
            function() patch(path, 40, "\255\255\255\255\255\255\255\255") end,
        } do
            damage()
            local before = inode()
            assert.same(expected, bytes_of(assert(frame:open {size = 12, cache = path}), {}))
            assert.not_equal(before, inode())
            assert.equal(size, lfs.attributes(path, "size"))
        end
    end)

    it("reads the file of an image whose samples are damaged", function()
        local expected = bytes_of(assert(frame:open {size = 12, cache = path}), {})
        patch(path, 64, "\200\201\202")
        assert.same(expected, bytes_of(assert(frame:open {size = 12, cache = path}), {}))
    end)

    it("lists what cannot be read, each time", function()
        local file = assert(io.open(root .. "/NORMAL/004.png", "w"))
        file:write("no image")
        file:close()
        for _ = 1, 2 do
            local dataset = assert(frame:open {size = 12, cache = path})
            assert.equal(8, #dataset)
            assert.equal(1, #dataset.failed)
            assert.matches("004%.png", dataset.failed[1].message)
            assert.equal(8, (#bytes_of(dataset, {batch = 1})))
        end
        local nothing, message, code = frame:open {size = 12, cache = path, strict = true}
        assert.is_nil(nothing)
        assert.matches("004%.png", message)
        assert.equal("format", code)
    end)

    it("does not remember what kept a file from being read", function()
        local one = root .. "/NORMAL/004.png"
        assert(os.rename(one, one .. "~"))
        for _, spoil in ipairs {function() end, function() assert(lfs.mkdir(one)) end} do
            spoil()
            local nothing, message, code = frame:open {size = 12, cache = path}
            assert.is_nil(nothing)
            assert.matches("004%.png", message)
            assert.equal("io", code)
            assert.same({}, files_in(folder .. "/c"))
        end
        assert(os.remove(one))
        assert(os.rename(one .. "~", one))
        local dataset = assert(frame:open {size = 12, cache = path})
        assert.equal(9, #dataset)
        assert.equal(0, #dataset.failed)
    end)

    it("says why a file is no image although its own words were damaged", function()
        local file = assert(io.open(root .. "/NORMAL/001.png", "w"))
        file:write("no image")
        file:close()
        assert(frame:open {size = 12, cache = path})
        local bytes = assert(io.open(path, "rb")):read("a")
        patch(path, bytes:find("/NORMAL/001.png", 1, true), "?")
        assert.matches("001%.png", assert(frame:open {size = 12, cache = path}).failed[1].message)
    end)

    it("takes the place of nothing but a cache", function()
        for _, text in ipairs {"my notes", "LXIMAGE", ("x"):rep(5000)} do
            local file = assert(io.open(path, "w"))
            file:write(text)
            file:close()
            local nothing, message, code = frame:open {size = 12, cache = path}
            assert.is_nil(nothing)
            assert.matches("images%.cache\" is not a cache", message)
            assert.equal("format", code)
            assert.equal(text, assert(io.open(path)):read("a"))
            assert.same({"images.cache"}, files_in(folder .. "/c"))
        end
        assert(os.remove(path))
        assert(lfs.mkdir(path))
        local nothing, _, code = frame:open {size = 12, cache = path}
        assert.same({nil, "io"}, {nothing, code})
    end)

    it("is complete only with all images, and refuses what comes out of order", function()
        local store = assert(core.store_files(frame.path, {cache = path}))
        assert.error_matches(function() store:finish() end, "image 1 of 9 was not added")
        assert(store:add(1, 4))
        assert(store:add(6, 9))
        assert.error_matches(function() store:finish() end, "image 5 of 9 was not added")
        for _, range in ipairs {{0, 1}, {2, 1}, {9, 10}, {math.mininteger, math.maxinteger}, {math.mininteger, 1}} do
            assert.error_matches(function() store:add(table.unpack(range)) end, "out of range")
        end
        assert(store:add(5, 5))
        assert(store:finish())
        local others = {core.store_files(frame.path, {}), core.store_images(lx.zeros(2, 1, 3, 3))}
        for _, done in ipairs {store, table.unpack(others)} do
            assert.error_matches(function() done:finish() end, "no cache is being made")
            assert.error_matches(function() done:add(1, 2) end, "no cache is being made")
            for _, index in ipairs {0, -1, 10, math.mininteger, math.maxinteger} do
                assert.error_matches(function() done:image(index) end, "out of range")
            end
        end
    end)

    it("is made by several processes at once, and each has all of it #processes", function()
        local script = ([[%s -e '
            local lx = require "luxel"
            local set = assert(assert(lx.data.image_folder("%s")):open {size = 12, cache = "%s"})
            local sum = 0
            for i = 1, #set do sum = sum + set:image(i)[{1, 1, 1}] end
            print(#set, sum)' 2>&1 & ]]):format(arg[-1] or "lua5.4", root, path)
        for _ = 1, 4 do
            os.remove(path)
            local pipe = assert(io.popen(script:rep(4) .. "wait"))
            local said = pipe:read("a")
            pipe:close()
            assert.equal(("9\t45\n"):rep(4), said)
            assert.same({"images.cache"}, files_in(folder .. "/c"))
            local set = assert(frame:open {size = 12, cache = path, progress = function() error("made again") end})
            assert.equal(9, #set)
        end
    end)

    it("leaves nothing behind when it cannot be written", function()
        local nothing, message, code = frame:open {size = 12, cache = folder .. "/nowhere/images.cache"}
        assert.is_nil(nothing)
        assert.matches("nowhere", message)
        assert.equal("io", code)
        local store = assert(core.store_files(frame.path, {cache = path}))
        assert.equal(1, #files_in(folder .. "/c"))
        store:close()
        assert.equal(0, #files_in(folder .. "/c"))
    end)

    it("leaves nothing behind on a full disk #processes", function()
        local script = ([[ulimit -f 8; trap '' XFSZ; exec %s -e '
            local lx = require "luxel"
            local frame = lx.data.image_folder("%s")
            local dataset, message, code = frame:open {size = 12, cache = "%s"}
            io.write(tostring(dataset), " ", tostring(code), " ", tostring(message))']]):format(arg[-1] or "lua5.4",
            make_frame("large", 5, 120) and folder .. "/large", path)
        local pipe = assert(io.popen("bash -c " .. ("'%s'"):format(script:gsub("'", "'\\''")) .. " 2>&1"))
        local said = pipe:read("a")
        pipe:close()
        assert.matches("^nil io .*images%.cache", said)
        assert.equal(0, #files_in(folder .. "/c"))
    end)
end)
