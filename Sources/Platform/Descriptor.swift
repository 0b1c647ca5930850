import CLinux
import Glibc
import SystemPackage

/// The kernel's reason for not doing what it was asked for: an errno value.
public typealias Errno = SystemPackage.Errno

extension Errno {
    /// The reason of this thread's last call that failed, of the system or of a library that says so.
    public static var last: Errno { Errno(rawValue: errno) }

    /// Throws the reason that a library answers with, a negative errno value.
    public static func check(_ result: Int32) throws(Errno) {
        if result < 0 { throw Errno(rawValue: -result) }
    }
}

/// The result of a system call, or its reason when it failed. A call that a signal interrupted is made again.
@discardableResult
func attempt<Result: FixedWidthInteger & SignedInteger>(_ call: () -> Result) throws(Errno) -> Result {
    while true {
        let result = call()
        if result >= 0 { return result }
        let reason = Errno.last
        if reason != .interrupted { throw reason }
    }
}

/// A file descriptor, closed when it is released.
public struct Descriptor: ~Copyable, Sendable {
    /// The kernel's number for it.
    public let number: Int32

    /// Takes over an open descriptor.
    public init(owning number: Int32) { self.number = number }

    /// Takes over the result of a library that answers with a descriptor or a negative errno value.
    public init(result: Int32) throws(Errno) {
        try Errno.check(result)
        number = result
    }

    /// Another descriptor of what `original` stands for, above standard input, output and error.
    public init(copying original: Int32) throws(Errno) {
        number = try attempt { fcntl(original, F_DUPFD_CLOEXEC, 3) }
    }

    deinit { close(number) }

    /// Hands the descriptor to another owner.
    public consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }

    /// Reads what is there into the buffer, at most as much as it holds; 0 at the end of a file.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try attempt { Glibc.read(number, buffer.baseAddress, buffer.count) }
    }

    /// Writes once; returns how many bytes were taken.
    @discardableResult
    public func write(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
        try attempt { Glibc.write(number, bytes.baseAddress, bytes.count) }
    }

    /// Asks the device behind the descriptor for something (ioctl(2)); the answer may be written over the request.
    public func control<Request: BitwiseCopyable>(_ number: UInt, _ request: inout Request) throws(Errno) {
        let descriptor = self.number
        try attempt { ioctl(descriptor, number, &request) }
    }

    /// Writes all bytes to a descriptor.
    public static func writeAll(_ bytes: [UInt8], to number: Int32) throws(Errno) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(Errno) in
            try writeAll(UnsafeRawBufferPointer(bytes), to: number)
        }
    }

    /// Writes all bytes to a descriptor, as long as it takes: one that is non-blocking is waited for.
    public static func writeAll(_ bytes: UnsafeRawBufferPointer, to number: Int32) throws(Errno) {
        var written = 0
        while written < bytes.count {
            do throws(Errno) {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
                let count = try attempt { Glibc.write(number, rest.baseAddress, rest.count) }
                if count == 0 { throw .ioError }
                written += count
            } catch {
                guard error == .wouldBlock else { throw error }
                PollSet.waitUntilWritable(number)
            }
        }
    }
}

/// The descriptors of the process that it was started with.
public enum StandardStream {
    public static let output = STDOUT_FILENO
    public static let error = STDERR_FILENO
}

/// A counter in the kernel that one thread raises and another sleeps on (eventfd(2)).
public struct EventCounter: ~Copyable, Sendable {
    private let descriptor: Descriptor
    /// The descriptor's number, to sleep on with others; readable as long as the counter is not 0.
    public let number: Int32

    /// - Parameter isNonBlocking: `clear` does not wait for a signal.
    public init(isNonBlocking: Bool) throws(Errno) {
        let flags = Int32(EFD_CLOEXEC) | (isNonBlocking ? Int32(EFD_NONBLOCK) : 0)
        descriptor = Descriptor(owning: try attempt { eventfd(0, flags) })
        number = descriptor.number
    }

    /// Raises the counter, which wakes whoever sleeps on it.
    @inlinable public func signal() {
        var one: UInt64 = 1
        _ = Glibc.write(number, &one, MemoryLayout<UInt64>.size)
    }

    /// Sets the counter to 0. One that is blocking waits until it is not 0; false: a signal of the process interrupted it.
    @inlinable @discardableResult public func clear() -> Bool {
        var value: UInt64 = 0
        return Glibc.read(number, &value, MemoryLayout<UInt64>.size) >= 0
    }
}

/// Descriptors that a thread sleeps on until one of them has something to read (poll(2)).
public struct PollSet: ~Copyable, @unchecked Sendable {
    @usableFromInline let entries: UnsafeMutablePointer<pollfd>
    /// The number of descriptors.
    public let count: Int

    /// - Parameter descriptors: a negative one is never ready.
    public init(_ descriptors: [Int32]) {
        count = descriptors.count
        entries = .allocate(capacity: max(count, 1))
        for (index, descriptor) in descriptors.enumerated() {
            (entries + index).initialize(to: pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        }
    }

    deinit { entries.deallocate() }

    /// Puts a descriptor in the place of another.
    public func replace(_ index: Int, by descriptor: Int32) { entries[index].fd = descriptor }

    /// Sleeps until a descriptor is ready or the time is up (-1: for ever); how many are ready, -1 when a signal of the process
    /// interrupted the sleep.
    @inlinable @discardableResult public func wait(atMostMilliseconds time: Int32) -> Int32 {
        Glibc.poll(entries, nfds_t(count), time)
    }

    /// Whether the last sleep ended because of this descriptor.
    public func isReady(_ index: Int) -> Bool { entries[index].revents != 0 }

    /// Sleeps until a descriptor takes bytes again.
    static func waitUntilWritable(_ number: Int32) {
        var one = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        _ = Glibc.poll(&one, 1, -1)
    }
}
