// The product's mark: seats around a table.

export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <g>
        <path d="M7.5 20a8.5 8.5 0 0 1 17 0" />
        <path d="M12.5 20a3.5 3.5 0 0 1 7 0" opacity="0.75" />
      </g>
      <circle cx="16" cy="24.5" r="1.8" />
    </svg>
  );
}
