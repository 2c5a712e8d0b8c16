--- The contrast of two colours "#rrggbb", 1 to 21, as of WCAG 2.1.

return function(a, b)
    local function luminance(colour)
        local sum = 0
        for k, weight in ipairs {0.2126, 0.7152, 0.0722} do
            local level = tonumber(colour:sub(2 * k, 2 * k + 1), 16) / 255
            sum = sum + weight * (level <= 0.03928 and level / 12.92 or ((level + 0.055) / 1.055) ^ 2.4)
        end
        return sum
    end
    local x, y = luminance(a), luminance(b)
    return (math.max(x, y) + 0.05) / (math.min(x, y) + 0.05)
end
