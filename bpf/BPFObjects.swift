/// The BPF programs that are embedded in the binary.
public enum BPFObjects {
    /// Writes the steering program's ELF object to `memory`, which holds ``steeringSize`` bytes. libbpf wants it aligned to
    /// 16 bytes.
    public static func writeSteering(to memory: UnsafeMutableRawPointer) {
        let digits = steeringObjectHex.utf8Start
        for index in 0..<steeringSize {
            let byte = value(digits[2 * index]) << 4 | value(digits[2 * index + 1])
            memory.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
    }

    /// The size of the steering program's ELF object, in bytes.
    public static var steeringSize: Int { steeringObjectHex.utf8CodeUnitCount / 2 }

    private static func value(_ digit: UInt8) -> UInt8 {
        digit < UInt8(ascii: "a") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
    }
}
