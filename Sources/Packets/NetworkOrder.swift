// Loads and stores of header fields: unaligned, host order in Swift, network order in memory, unchecked.
// Whoever calls them has checked the bounds.

extension UnsafeRawPointer {
    @inlinable
    func uint8(at offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }

    @inlinable
    func uint16(at offset: Int) -> UInt16 {
        UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    @inlinable
    func uint32(at offset: Int) -> UInt32 {
        UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}

extension UnsafeMutableRawPointer {
    @inlinable
    func uint8(at offset: Int) -> UInt8 { UnsafeRawPointer(self).uint8(at: offset) }

    @inlinable
    func uint16(at offset: Int) -> UInt16 { UnsafeRawPointer(self).uint16(at: offset) }

    @inlinable
    func uint32(at offset: Int) -> UInt32 { UnsafeRawPointer(self).uint32(at: offset) }

    @inlinable
    func store(_ value: UInt8, at offset: Int) { storeBytes(of: value, toByteOffset: offset, as: UInt8.self) }

    @inlinable
    func store(_ value: UInt16, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    @inlinable
    func store(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }
}
