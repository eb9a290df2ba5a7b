package samples

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"slices"
)

// GoProgram returns a 64-bit little-endian ELF executable of a few kilobytes that carries Go build information: enough
// for debug/buildinfo and everything built on it, though there is no code in it to run. goVersion is as in "go1.22.1"; the
// setting GOARCH of info may ask for arm64 instead of amd64.
func GoProgram(goVersion string, info debug.BuildInfo) ([]byte, error) {
	blob, err := buildInfoSection(goVersion, info.String())
	if err != nil {
		return nil, err
	}
	machine := elf.EM_X86_64
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "GOARCH", Value: "arm64"}) {
		machine = elf.EM_AARCH64
	}
	const (
		base       = 0x400000 // where the file is mapped
		headerSize = 64
		progSize   = 56
		dataStart  = headerSize + progSize // aligned to 16 below
	)
	dataOffset := uint64(dataStart+15) &^ 15
	names := "\x00.go.buildinfo\x00.shstrtab\x00"
	namesOffset := dataOffset + uint64(len(blob))
	sectionsOffset := (namesOffset + uint64(len(names)) + 7) &^ 7

	var out bytes.Buffer
	put := func(v any) { // writing fixed-size values into memory cannot fail
		_ = binary.Write(&out, binary.LittleEndian, v)
	}
	pad := func(to uint64) { out.Write(make([]byte, to-uint64(out.Len()))) }

	put(elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Entry: base + dataOffset,
		Phoff: headerSize, Shoff: sectionsOffset, Ehsize: headerSize, Phentsize: progSize, Phnum: 1,
		Shentsize: 64, Shnum: 3, Shstrndx: 2,
	})
	put(elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Vaddr: base, Paddr: base,
		Filesz: namesOffset, Memsz: namesOffset, Align: 0x1000,
	})
	pad(dataOffset)
	out.Write(blob)
	out.WriteString(names)
	pad(sectionsOffset)
	put(elf.Section64{})
	put(elf.Section64{
		Name: 1, Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE),
		Addr: base + dataOffset, Off: dataOffset, Size: uint64(len(blob)), Addralign: 16,
	})
	put(elf.Section64{
		Name: 15, Type: uint32(elf.SHT_STRTAB), Off: namesOffset, Size: uint64(len(names)), Addralign: 1,
	})
	return out.Bytes(), nil
}

// buildInfoSection writes what the Go linker puts into .go.buildinfo since 1.18: a magic, the pointer size, a flag that
// says the strings follow in place, and from offset 32 the toolchain's version and the module list, each after its
// length. The module list stands between two markers of 16 bytes (cmd/go/internal/modload).
func buildInfoSection(goVersion, modules string) ([]byte, error) {
	start, err := hex.DecodeString("3077af0c9274080241e1c107e6d618e6")
	if err != nil {
		return nil, fmt.Errorf("decode start marker: %w", err)
	}
	end, err := hex.DecodeString("f932433186182072008242104116d8f2")
	if err != nil {
		return nil, fmt.Errorf("decode end marker: %w", err)
	}
	head := [32]byte{14: 8, 15: 2}
	copy(head[:], "\xff Go buildinf:")
	b := head[:]
	for _, s := range []string{goVersion, string(start) + modules + string(end)} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, make([]byte, 32)...), nil
}
