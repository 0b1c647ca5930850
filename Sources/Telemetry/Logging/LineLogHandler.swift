import Logging

#if canImport(Glibc)
    import Glibc
#endif

/// Writes one line per event to a file descriptor, standard error by default, with one `write` so that lines of
/// several threads and processes do not mix. Whoever logs does not wait for that (`LogWriter`).
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
        LogWriter.shared.write(record, format: format, descriptor: fileDescriptor)
    }

    private static func realtime() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}
