--- The page of an audit: one HTML file with everything in it, for the screen, light or dark, and for paper.

local draw = require "luxel.vision.draw"
local fixed = require "luxel.fixed"
local geometry = require "luxel.vision.geometry"
local page = require "luxel.page"
local read = require "luxel.vision.read"

local card, escape, section, table_of = page.card, page.escape, page.section, page.table

local THUMBNAIL <const>, SMALL <const> = 96, 64 -- pixels of the longer side
-- Pictures take most of the page; what is left out is counted there, and is all in the audit itself.
local MOST_GROUPS <const>, MOST_PAIRS <const>, MOST_SUSPECTS <const>, MOST_ROWS <const> = 16, 12, 24, 40
local OF_STYLE <const>, OF_MARKERS <const> = 8, 6 -- pictures of each style, and of what looks like text, by class

-- ---- parts ----------------------------------------------------------------------------------------------------

-- The names of the classes or labels of an image.
local function classes_of(frame, i)
    local label, names = frame.label[i], {}
    for k, name in ipairs(frame.classes) do
        if type(label) == "table" and label[k] == 1 or label == k - 1 then names[#names + 1] = name end
    end
    return names
end

-- An image as a part of the page, its longer side of so many pixels at most, with boxes where some are given.
local function image_tag(self, i, side, boxes)
    local image = read.load(self.frame.path[i], {bits = 8})
    local data, alt = nil, escape(self.frame.path[i]:match("[^/]*$"))
    if image then
        local height, width = image.shape[2], image.shape[3]
        local scale = math.min(1, side / math.max(height, width))
        image = geometry.resize(image, math.max(1, math.floor(height * scale)), math.max(1, math.floor(width * scale)))
        for _, box in ipairs(boxes or {}) do
            local x, y = math.floor(box.x * scale) - 1, math.floor(box.y * scale) - 1
            image = draw.draw_rect(draw.to_rgb(image), {
                x = x, y = y, w = math.ceil((box.x + box.w) * scale) + 1 - x,
                h = math.ceil((box.y + box.h) * scale) + 1 - y,
            }, {colour = {255, 96, 64}})
        end
        data = image
    end
    return page.image(data, boxes and alt or "", alt)
end

local function picture(self, i)
    local frame = self.frame
    local words = classes_of(frame, i)
    words[#words + 1] = frame.part[i] or nil
    return ('<figure>%s<figcaption>%s<br>%s</figcaption></figure>'):format(image_tag(self, i, THUMBNAIL),
        escape(frame.path[i]:match("[^/]*$")), escape(table.concat(words, ", ")))
end

-- The first two classes have the colours of the page's style.
local function colour_of(class)
    if class <= 2 then return class == 1 and "var(--a)" or "var(--b)" end
    return ("hsl(%d 55%% 45%%)"):format(class * 67 % 360)
end

-- Lines of the share of each level, one a class.
local function plot_levels(self)
    local width, height, most = 640, 200, 0
    for _, class in ipairs(self.classes) do
        for bin = 2, 63 do most = math.max(most, class.histogram[bin]) end -- the ends are cut off if they tower
    end
    local out = {
        ('<svg viewBox="0 0 %d %d" role="img" aria-label="grey levels by class">'):format(width + 20, height + 40),
    }
    for i, class in ipairs(self.classes) do
        local points = {}
        for bin, share in ipairs(class.histogram) do
            points[bin] = fixed(10 + (bin - 1) * width / 63, 1) .. ","
                .. fixed(10 + height * (1 - math.min(1, share / math.max(most, 1e-9))), 1)
        end
        local colour = colour_of(i)
        out[#out + 1] = ('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>'):format(colour,
            table.concat(points, " "))
        out[#out + 1] = ('<text x="60" y="%d" style="fill:%s">%s</text>'):format(10 + i * 16, colour,
            escape(class.name))
    end
    out[#out + 1] = ('<path d="M10 %dH%d" stroke="var(--line)"/>'):format(height + 10, width + 10)
    for _, level in ipairs {0, 64, 128, 192, 255} do
        out[#out + 1] = ('<text x="%.0f" y="%d" text-anchor="middle">%d</text>'):format(10 + level / 255 * width,
            height + 28, level)
    end
    out[#out + 1] = "</svg>"
    return table.concat(out)
end

-- A dot for each image, at its width and height; more opaque where many lie on each other.
local function plot_sizes(self)
    local side, most, counts = 220, 1, {}
    for i, r in ipairs(self.records) do
        if r then
            most = math.max(most, r.width, r.height)
            local label = self.frame.label[i]
            if type(label) == "table" then -- the first that it has
                local first = 0
                for k = #label, 1, -1 do first = label[k] == 1 and k or first end
                label = math.max(0, first - 1)
            end
            local key = ("%d,%d,%d"):format(r.width, r.height, label == label and label or 0)
            counts[key] = (counts[key] or 0) + 1
        end
    end
    local out = {('<svg viewBox="0 0 660 %d" role="img" aria-label="sizes">'):format(side + 44)}
    local keys = {}
    for key in pairs(counts) do keys[#keys + 1] = key end
    table.sort(keys)
    for k = 1, math.min(#keys, 3000) do
        local w, h, label = keys[k]:match("(%d+),(%d+),(%d+)")
        out[#out + 1] = ('<circle cx="%s" cy="%s" r="%s" fill="%s" fill-opacity=".55"/>'):format(
            fixed(40 + w / most * 600, 1), fixed(10 + side * (1 - h / most), 1),
            fixed(math.min(9, 2 + math.log(counts[keys[k]], 4)), 1), colour_of(label + 1))
    end
    out[#out + 1] = ('<path d="M40 10V%dH640" fill="none" stroke="var(--line)"/>'):format(side + 10)
    out[#out + 1] = ('<text x="36" y="20" text-anchor="end">%d</text>'):format(most)
    out[#out + 1] = ('<text x="640" y="%d" text-anchor="end">%d pixels wide</text>'):format(side + 28, most)
    out[#out + 1] = "</svg>"
    return table.concat(out)
end

local function tags(self, a, b)
    local out = {}
    for i, kind in ipairs(self:conflicts(a, b)) do out[i] = ('<span class="tag">another %s</span>'):format(kind) end
    return table.concat(out)
end

local function left_out(out, number, shown, what)
    if number > shown then out[#out + 1] = ('<p class="soft">and %d more %s</p>'):format(number - shown, what) end
end

-- ---- sections -------------------------------------------------------------------------------------------------

local function write_duplicates(self, out)
    if #self.duplicates > 0 then
        section(out, "The same to the pixel",
            "%d groups, %d copies. A copy in another part or class makes figures wrong.", #self.duplicates,
            self:copies())
        out[#out + 1] = '<div class="groups">'
        for i = 1, math.min(#self.duplicates, MOST_GROUPS) do
            local group = self.duplicates[i]
            out[#out + 1] = '<div class="group">'
            for k = 1, math.min(#group, 5) do out[#out + 1] = picture(self, group[k]) end
            local words = {}
            for k = 2, #group do words[k - 1] = tags(self, group[1], group[k]) end
            out[#out + 1] = ('<div class="why">%s</div></div>'):format(table.concat(words))
        end
        out[#out + 1] = "</div>"
        left_out(out, #self.duplicates, MOST_GROUPS, "groups")
    end
    if #self.near > 0 then
        section(out, "Look the same", "%d pairs of images whose pixels differ a little: saved again, resized, or cut.",
            #self.near)
        out[#out + 1] = '<div class="groups">'
        for i = 1, math.min(#self.near, MOST_PAIRS) do
            local pair = self.near[i]
            out[#out + 1] = '<div class="group">' .. picture(self, pair.a) .. picture(self, pair.b)
            out[#out + 1] = ('<div class="why">%s<p>correlation %.4f, %d of 64 bits apart</p></div></div>'):format(
                tags(self, pair.a, pair.b), pair.correlation, pair.distance)
        end
        out[#out + 1] = "</div>"
        left_out(out, #self.near, MOST_PAIRS, "pairs")
    end
end

local function write_patients(self, out)
    if not self.patients then
        section(out, "Patients",
            "No file name tells its patient, so images of one may end up in training and in validation.")
        return
    end
    section(out, "Patients", "%d, of whom %d have several images, at most %d. Numbers come from the file names.",
        self.patients.number, self.patients.several, self.patients.most)
    for _, list in ipairs {
        {self.in_two_parts, "Patients with images in more than one part"},
        {self.in_two_classes, "Patients in several classes"},
    } do
        if #list[1] > 0 then
            local names = {}
            for i = 1, math.min(#list[1], MOST_ROWS) do names[i] = escape(list[1][i]) end
            out[#out + 1] = ("<p><b>%s:</b> %s</p>"):format(list[2], table.concat(names, ", "))
            left_out(out, #list[1], MOST_ROWS, "patients")
        end
    end
end

local function write_suspects(self, out)
    if #self.suspects > 0 then
        section(out, "Look at these", "Blank, flat, dark, bright, small, inverted, turned, lateral, or no chest "
            .. "radiographs.")
        out[#out + 1] = '<div class="group">'
        for i = 1, math.min(#self.suspects, MOST_SUSPECTS) do
            local suspect = self.suspects[i]
            out[#out + 1] = (picture(self, suspect.image):gsub("</figcaption>", function()
                return ("<br><b>%s</b></figcaption>"):format(escape(table.concat(suspect.why, "; ")))
            end))
        end
        out[#out + 1] = "</div>"
        left_out(out, #self.suspects, MOST_SUSPECTS, "images")
    end
    if #self.unreadable > 0 then
        section(out, "Cannot be read", "%d files.", #self.unreadable)
        local rows = {}
        for i = 1, math.min(#self.unreadable, MOST_ROWS) do rows[i] = {self.unreadable[i].message} end
        out[#out + 1] = table_of({"reason"}, rows)
        left_out(out, #self.unreadable, MOST_ROWS, "files")
    end
end

-- Images of each class, in all and in each part.
local function write_classes(self, out)
    local total, head, sums = #self.frame, {"", "images", "share", "patients"}, {"all", #self.frame, "", ""}
    for _, part in ipairs(self.parts) do head[#head + 1], sums[#sums + 1] = part.name, part.images end
    section(out, "Classes", "Images and patients%s.", #self.parts > 0 and ", and images in each part" or "")
    local rows = {}
    for i, class in ipairs(self.classes) do
        rows[i] = {
            class.name, class.images, ("%.1f %%"):format(100 * class.images / total), class.patients or "unknown",
        }
        for _, part in ipairs(self.parts) do table.insert(rows[i], part.classes[i]) end
    end
    if #self.parts > 0 then rows[#rows + 1] = sums end
    out[#out + 1] = table_of(head, rows)
end

local function write_overview(self, out)
    local frame, findings = self.frame, self:findings()
    out[#out + 1] = '<div class="cards">' .. table.concat {
        card(#frame, "images"), card(self.patients and self.patients.number or "?", "patients"),
        card(self:copies(), "exact copies", true), card(#self.near, "near duplicates", true),
        card(#self.in_two_parts, "patients in two parts", true), card(#self.unreadable, "unreadable files", true),
        card(#self.suspects, "suspect images", true),
    } .. "</div>"
    if #findings > 0 then
        out[#out + 1] = "<ul>"
        for _, line in ipairs(findings) do out[#out + 1] = ("<li>%s</li>"):format(escape(line)) end
        out[#out + 1] = "</ul>"
    end
    write_classes(self, out)
end

local function write_images(self, out)
    section(out, "Grey levels", "How often each level occurs in the images of a class, 0 black to 255 white. Where the "
        .. "classes differ in their levels alone, a network may learn the scanner instead of the disease.")
    out[#out + 1] = plot_levels(self)
    local sizes, kinds = self.sizes, {}
    for format, n in pairs(self.formats) do kinds[#kinds + 1] = ("%d %s"):format(n, format) end
    for bits, n in pairs(self.bits) do kinds[#kinds + 1] = ("%d of %d bits"):format(n, bits) end
    table.sort(kinds)
    section(out, "Sizes and formats", "%s, %d to %d pixels wide and %d to %d high; %s; %d with colours.",
        sizes.distinct == 1 and "all of one size" or sizes.distinct .. " different sizes", sizes.width.least,
        sizes.width.most, sizes.height.least, sizes.height.most, table.concat(kinds, ", "), self.coloured)
    if sizes.distinct > 1 then out[#out + 1] = plot_sizes(self) end
end

-- What each nuisance tells, as a line with its interval from 0.5, which is chance, to 1.
local function plot_shortcuts(found)
    local left, right, row = 130, 460, 26
    local function at(auc) return fixed(left + (math.max(0.4, auc) - 0.4) / 0.6 * (right - left), 1) end
    local low = #found.nuisances * row + 8
    local out = {('<svg viewBox="0 0 660 %d" role="img" aria-label="areas">'):format(low + 24)}
    for _, auc in ipairs {0.5, 0.6, 0.7, 0.8, 0.9, 1} do
        out[#out + 1] = ('<path d="M%s 4V%d" stroke="var(--line)"/><text x="%s" y="%d" text-anchor="middle">%s</text>')
            :format(at(auc), low, at(auc), low + 16, fixed(auc, 1))
    end
    for i, one in ipairs(found.nuisances) do
        local y = i * row - 8
        out[#out + 1] = ('<text x="0" y="%d" style="fill:var(--ink)">%s</text>'):format(y + 4, escape(one.name))
        local words = one.problem
        if one.auc then
            local colour = one.outside and "var(--b)" or "var(--a)"
            if one.low then
                out[#out + 1] = ('<path d="M%s %dH%s" stroke="%s" stroke-width="2"/>'):format(at(one.low), y,
                    at(one.high), colour)
            end
            out[#out + 1] = ('<circle cx="%s" cy="%d" r="4.5" fill="%s"/>'):format(at(one.auc), y, colour)
            words = one.low and ("%.3f [%.3f, %.3f]"):format(one.auc, one.low, one.high) or ("%.3f"):format(one.auc)
            if #one.each > 1 then words = words .. " " .. one.class end
        end
        out[#out + 1] = ('<text x="%d" y="%d">%s</text>'):format(right + 12, y + 4, escape(words))
    end
    out[#out + 1] = "</svg>"
    return table.concat(out)
end

-- Evenly picked members of a list.
local function some(list, most)
    local out = {}
    for k = 1, math.min(most, #list) do
        out[k] = list[#list <= most and k or math.floor((k - 1) * (#list - 1) / (most - 1)) + 1]
    end
    return out
end

local function write_markers(self, out, found)
    local rows, any = {}, false
    for k, class in ipairs(self.frame.classes) do
        rows[k] = {class, found.markers[class] and ("%.1f %%"):format(100 * found.markers[class]) or "no images"}
        any = any or (found.markers[class] or 0) > 0
    end
    section(out, "Text and markers", "Small, bright groups with sharp edges near the borders: mostly letters for the "
        .. "side, times, names of devices; now and then a bone. Evenly picked images of each class.")
    out[#out + 1] = table_of({"class", "images with any"}, rows)
    for _, class in ipairs(any and self.frame.classes or {}) do
        local list = {}
        for _, i in ipairs(found.images) do
            local names = table.concat(classes_of(self.frame, i), "\0")
            if #self.records[i].markers > 0 and names == class then list[#list + 1] = i end
        end
        if #list > 0 then out[#out + 1] = ('<p>%s</p><div class="sheet">'):format(escape(class)) end
        for _, i in ipairs(some(list, OF_MARKERS)) do
            out[#out + 1] = image_tag(self, i, 2 * THUMBNAIL, self.records[i].markers)
        end
        if #list > 0 then out[#out + 1] = "</div>" end
    end
end

local function write_styles(self, out, found)
    local styles = found.styles
    if not styles then return end
    section(out, "Styles", "%d clusters of what border, corners and lowest frequencies look like, found without the "
        .. "classes. A cluster of mostly one class is one that a network can learn instead of the disease. Pictures "
        .. "from the nearest to the middle of a cluster to the farthest.", styles.k)
    for c = 1, styles.k do
        local members, bar, words = {}, {}, {}
        for place, cluster in ipairs(styles.cluster) do
            if cluster == c then members[#members + 1] = place end
        end
        table.sort(members, function(a, b)
            if styles.distances[a] ~= styles.distances[b] then return styles.distances[a] < styles.distances[b] end
            return a < b
        end)
        for k, class in ipairs(styles.classes) do
            local share = 100 * styles.by_class[c][k] / math.max(1, styles.counts[c])
            bar[k] = ('<span style="width:%s%%;background:%s"></span>'):format(fixed(share, 2), colour_of(k))
            words[k] = ("%s %.1f %%"):format(class, share)
        end
        out[#out + 1] = ('<div class="style"><b>%d</b> &nbsp;%d images &nbsp;<span class="soft">%s</span>'):format(c,
            styles.counts[c], escape(table.concat(words, ", ")))
        out[#out + 1] = ('<div class="bar">%s</div><div class="sheet">'):format(table.concat(bar))
        for _, place in ipairs(some(members, OF_STYLE)) do
            out[#out + 1] = image_tag(self, found.images[place], SMALL)
        end
        out[#out + 1] = "</div></div>"
    end
end

local function write_shortcuts(self, out)
    local found = self:shortcuts()
    section(out, "Shortcuts", "How well a linear classifier tells the class from one thing alone, as area under the "
        .. "ROC curve with a 95 %% interval, cross-validated by patient; 0.5 is chance. No lung is in the first five: "
        .. "what they tell is not the disease. File size, levels and sharpness are of the whole picture, which the "
        .. "disease changes too.")
    if found.warning then out[#out + 1] = ('<p class="warn">%s</p>'):format(escape(found.warning)) end
    out[#out + 1] = plot_shortcuts(found)
    local rows = {}
    for i, one in ipairs(found.nuisances) do rows[i] = {one.name, one.what} end
    out[#out + 1] = table_of({"what alone", "of it"}, rows, true)
    write_markers(self, out, found)
    write_styles(self, out, found)
end

--- `Audit:report`.
---@param self luxel.Audit
---@param path string
return function(self, path)
    local out = {}
    write_overview(self, out)
    write_images(self, out)
    write_shortcuts(self, out)
    write_patients(self, out)
    write_duplicates(self, out)
    write_suspects(self, out)
    out[#out + 1] = '<p class="soft" style="margin-top:3rem">It says what files are like, not what they show. Luxel '
        .. "supports a reading by a qualified person; it does not replace one.</p>"
    return page.write(path, "Audit of " .. (self.dir:match("[^/]+/*$") or self.dir), self.dir, out)
end
