import CLinux

/// The cores of the machine.
enum Cores {
    /// Those that the process may run on, in order.
    static func allowed() -> [Int] {
        var bitmap = [UInt64](repeating: 0, count: 16)
        guard sluice_allowed_cores(&bitmap, UInt32(bitmap.count)) == 0 else { return [0] }
        return (0..<bitmap.count * 64).filter { bitmap[$0 / 64] >> UInt64($0 % 64) & 1 == 1 }
    }
}
