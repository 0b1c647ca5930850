import Glibc

/// The kernel's clocks, in nanoseconds; read without a system call where the kernel offers that (vDSO).
public enum SystemClock {
    /// Time since the machine was started, which goes on while it is suspended (CLOCK_BOOTTIME).
    @inlinable public static func sinceBoot() -> UInt64 { now(CLOCK_BOOTTIME) }

    /// Time since 1970 in UTC; changes when somebody sets the clock (CLOCK_REALTIME).
    public static func wall() -> UInt64 { now(CLOCK_REALTIME) }

    /// Time in whole seconds since 1970 in UTC.
    public static func wallSeconds() -> Int64 { Int64(time(nil)) }

    /// Processor time of the calling thread.
    public static func ofThread() -> UInt64 { now(CLOCK_THREAD_CPUTIME_ID) }

    /// A point of time in seconds since 1970 as text, in the local time zone: "Nov 28 15:36:20 2026".
    public static func localText(secondsSince1970: Int64) -> String {
        var seconds = time_t(secondsSince1970)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let length = strftime(&buffer, buffer.count, "%b %d %H:%M:%S %Y", &parts)
        return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Stops the calling thread for so long.
    public static func sleep(microseconds: UInt32) { usleep(microseconds) }

    @inlinable static func now(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }
}
