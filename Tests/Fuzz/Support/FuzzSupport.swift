import CLibFuzzer

/// Hands the process to libFuzzer, which calls `target` with one input after the other and never returns.
///
/// The input is a heap copy of exactly its size, so that AddressSanitizer sees the first byte beyond, and so that
/// parsers may write into it.
public func fuzz(_ target: @escaping (_ input: UnsafeMutableRawPointer, _ count: Int) -> Void) -> Never {
    underTest = target
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    let status = LLVMFuzzerRunDriver(&count, &arguments, oneInput)
    fatalError("libFuzzer returned \(status)")
}

/// What libFuzzer calls; under the name that its own `main` would look for, as that is linked too.
@_cdecl("LLVMFuzzerTestOneInput")
func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 1)
    defer { memory.deallocate() }
    if let data { memory.copyMemory(from: data, byteCount: size) }
    underTest(memory, size)
    return 0
}

/// Runs `body` over `size` fresh bytes, bounded exactly.
public func withOutput(_ size: Int, _ body: (UnsafeMutableRawPointer) -> Void) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 1)
    defer { memory.deallocate() }
    memory.initializeMemory(as: UInt8.self, repeating: 0xEE, count: size)
    body(memory)
}

/// A property that must hold whatever the input is; if not, the input is a finding.
public func require(_ condition: Bool, _ property: @autoclosure () -> String, line: UInt = #line) {
    if !condition { fatalError("line \(line): \(property())") }
}

/// Reads every byte, so that a range that reaches too far is a finding.
public func touch(_ bytes: UnsafeRawPointer, _ count: Int) {
    require(count >= 0, "a negative length")
    var sum: UInt8 = 0
    for offset in 0..<count { sum &+= bytes.load(fromByteOffset: offset, as: UInt8.self) }
    sink = sum
}

// One thread fuzzes; a C callback cannot capture.
nonisolated(unsafe) private var underTest: (UnsafeMutableRawPointer, Int) -> Void = { _, _ in }
/// Keeps reads alive that have no other use.
nonisolated(unsafe) private var sink: UInt8 = 0
