// Buttons. An icon alone gets its name from `label`, which is its tooltip too.

import type { ReactNode } from 'react';
import { Button as AriaButton, Tooltip, TooltipTrigger, type ButtonProps } from 'react-aria-components';

type Look = 'plain' | 'primary' | 'danger' | 'quiet' | 'outline';

interface Props extends Omit<ButtonProps, 'children' | 'className'> {
  look?: Look;
  className?: string;
  children: ReactNode;
}

export function Button({ look = 'plain', className = '', ...rest }: Props) {
  return <AriaButton {...rest} className={`button ${look} ${className}`} />;
}

interface IconProps extends Omit<Props, 'aria-label'> {
  label: string;
  /** Keys that do the same, for the tooltip. */
  keys?: string;
}

export function IconButton({ label, keys, className = '', ...rest }: IconProps) {
  return (
    <TooltipTrigger delay={400} closeDelay={0}>
      <Button {...rest} aria-label={label} className={`icon ${className}`} />
      <Tooltip className="tooltip" offset={8}>
        {label}
        {keys !== undefined && <kbd>{keys}</kbd>}
      </Tooltip>
    </TooltipTrigger>
  );
}
