import Logging

#if canImport(Glibc)
    import Glibc
#endif

/// Writes one line per event to a file descriptor, standard error by default, with one `write` so that lines of
/// several threads and processes do not mix.
///
///     LoggingSystem.bootstrap { LineLogHandler(label: $0, format: .json, level: .info) }
public struct LineLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: LogFormat
    private let fileDescriptor: Int32

    public init(label: String, format: LogFormat, level: Logger.Level = .info, fileDescriptor: Int32 = 2) {
        self.label = label
        self.format = format
        self.logLevel = level
        self.fileDescriptor = fileDescriptor
    }

    public subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { _, new in new } }
        if let own = event.metadata { merged.merge(own) { _, new in new } }
        let record = LogRecord(
            nanoseconds: Self.realtime(), level: event.level, component: label, message: event.message.description,
            metadata: merged)
        write(format.line(record))
    }

    private static func realtime() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }

    /// Writes all of the line. A log that cannot be written is given up: there is nowhere to say so.
    private func write(_ line: String) {
        var line = line
        line.withUTF8 { bytes in
            guard var rest = bytes.baseAddress else { return }
            var count = bytes.count
            while count > 0 {
                let written = Glibc.write(fileDescriptor, rest, count)
                if written > 0 {
                    rest += written
                    count -= written
                } else if written == 0 || errno != EINTR {
                    return
                }
            }
        }
    }
}
