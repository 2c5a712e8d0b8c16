# make          builds the module into build/            make test     all tests
# make deps     installs the missing Debian packages     make demo     the main job, end to end (DATA=DIR for own images)
# make bench    timings beside PyTorch                   make install  PREFIX=/usr/local
# make clean    removes build/                           eval "$(make -s env)"  uses this checkout from any directory

CC ?= cc
BUILD ?= build
PREFIX ?= /usr/local
LUA_VERSION ?= 5.4
LUA ?= lua$(LUA_VERSION)
LUA_INCDIR ?= $(firstword $(patsubst -I%,%,$(shell pkg-config --cflags-only-I lua$(LUA_VERSION) 2>/dev/null)) /usr/include/lua$(LUA_VERSION))
STB_INCDIR ?= /usr/include/stb
OPTIMIZE ?= -O3
SANITIZE ?=

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
COMMON = -std=gnu11 -fPIC -fvisibility=hidden $(WARNINGS) $(OPTIMIZE) $(SANITIZE) -MMD -MP
CFLAGS_ALL = $(COMMON) -fopenmp -I$(LUA_INCDIR) -I$(STB_INCDIR) $(CFLAGS)
LDFLAGS_ALL = -shared -fopenmp $(SANITIZE) $(LDFLAGS)
LDLIBS = -lm -lpthread

# Kernels: one text, compiled once for each instruction set. NaN and infinity keep their meaning. A kernel need not
# use all of its ids.
KERNEL_FLAGS = $(COMMON) -x c -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wno-unused-parameter $(KERNEL_WARNINGS)
ifneq ($(findstring clang,$(shell $(CC) --version)),)
KERNEL_WARNINGS = -Wno-pass-failed
endif
ifneq ($(filter x86_64 amd64,$(shell $(CC) -dumpmachine | cut -d- -f1)),)
ISAS = base avx2 avx512
FLAGS_base = -DLX_ISA=base -DLANES=4 -march=x86-64
FLAGS_avx2 = -DLX_ISA=avx2 -DLANES=8 -march=x86-64-v3
FLAGS_avx512 = -DLX_ISA=avx512 -DLANES=16 -march=x86-64-v4 -mprefer-vector-width=512
else
ISAS = base
FLAGS_base = -DLX_ISA=base -DLANES=4
endif

SOURCES = $(wildcard csrc/*.c csrc/*/*.c csrc/*/*/*.c)
KERNELS = $(wildcard kernels/*.cl)
OBJECTS = $(SOURCES:%.c=$(BUILD)/obj/%.o) $(foreach isa,$(ISAS),$(KERNELS:kernels/%.cl=$(BUILD)/obj/kernels/$(isa)/%.o))
MODULE = $(BUILD)/luxel/core.so

# `make` means the module alone; deps is asked for by the targets that promise all the set-up.
all: $(MODULE)

$(MODULE): $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS)

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c $< -o $@

define kernel_rule
$(BUILD)/obj/kernels/$(1)/%.o: kernels/%.cl Makefile
	@mkdir -p $$(@D)
	$$(CC) $$(KERNEL_FLAGS) $$(FLAGS_$(1)) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call kernel_rule,$(isa))))

-include $(OBJECTS:.o=.d)

env:
	@echo 'export LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH:-;;}"'
	@echo 'export LUA_CPATH="$(abspath $(BUILD))/?.so;$${LUA_CPATH:-;;}"'

clean:
	rm -rf $(BUILD)

.PHONY: all env clean
