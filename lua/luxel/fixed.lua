--- Numbers for files, whose readers know the decimal point alone: `%f` and `%g` write a comma where a host has set the
--- locale of a language that has one.

--- A number with so many digits behind the point.
---@param value number
---@param digits integer
---@return string
return function(value, digits) return (("%." .. digits .. "f"):format(value):gsub("[^%da-z%-]", ".")) end
