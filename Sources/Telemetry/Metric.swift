/// The description of a figure: all that is known of it beside its value.
public struct MetricDefinition: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        /// Grows from the start of the gateway.
        case counter
        /// A value as of now.
        case gauge
    }

    public enum Unit: String, Hashable, Sendable {
        case packets, bytes, seconds, frames, messages, datagrams, cycles, rounds, batches, calls, times
        /// A number of things that the name says.
        case count
    }

    /// The stable name that status documents and listings have for it.
    public let name: String
    public let kind: Kind
    public let unit: Unit
    /// One sentence without a full stop.
    public let help: String

    public init(_ name: String, _ unit: Unit, kind: Kind = .counter, _ help: String) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.help = help
    }
}

/// One row of the catalogue of figures: what a figure is, and how it is read from what has it.
public struct Metric<Source>: Sendable {
    public let definition: MetricDefinition
    /// The field of `Source` that it is; nil when it is none.
    public let field: (any PartialKeyPath<Source> & Sendable)?
    private let value: @Sendable (Source) -> UInt64

    public var name: String { definition.name }

    public init(
        _ name: String, _ unit: MetricDefinition.Unit, kind: MetricDefinition.Kind = .counter, _ help: String,
        read: @escaping @Sendable (Source) -> UInt64
    ) {
        definition = MetricDefinition(name, unit, kind: kind, help)
        field = nil
        value = read
    }

    /// A figure that is a field.
    public init<Number: BinaryInteger & SendableMetatype>(
        _ name: String, _ field: any KeyPath<Source, Number> & Sendable, _ unit: MetricDefinition.Unit,
        kind: MetricDefinition.Kind = .counter, _ help: String
    ) {
        definition = MetricDefinition(name, unit, kind: kind, help)
        self.field = field
        value = { UInt64(clamping: $0[keyPath: field]) }
    }

    /// The figure now.
    public func read(_ source: Source) -> UInt64 { value(source) }
}

/// Figures of one kind of thing, each told apart by the same labels.
public struct MetricGroup: Sendable {
    /// The subject, in one word.
    public let name: String
    /// The labels that tell one such thing from others: `worker`, `port` and `queue`; none: there is one of it.
    public let labels: [String]
    /// The place in status documents.
    public let place: String
    /// Whether the figures are members there, each by its name.
    public let hasMembers: Bool
    public let definitions: [MetricDefinition]

    public init(
        _ name: String, labels: [String] = [], place: String, hasMembers: Bool = false,
        _ definitions: [MetricDefinition]
    ) {
        self.hasMembers = hasMembers
        self.name = name
        self.labels = labels
        self.place = place
        self.definitions = definitions
    }

    public init<Source>(
        _ name: String, labels: [String] = [], place: String, hasMembers: Bool = false, _ metrics: [Metric<Source>]
    ) {
        self.init(name, labels: labels, place: place, hasMembers: hasMembers, metrics.map(\.definition))
    }
}
