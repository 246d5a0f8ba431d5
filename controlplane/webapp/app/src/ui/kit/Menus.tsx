// Menus that open from a button.

import { Check } from 'lucide-react';
import type { ReactNode } from 'react';
import { Menu, MenuItem, MenuTrigger, Popover, Separator } from 'react-aria-components';

export type MenuEntry =
  | { id: string; name: string; icon?: ReactNode; danger?: boolean; act: () => void }
  | 'separator';

interface Props {
  /** The button it opens from. */
  trigger: ReactNode;
  label: string;
  entries: MenuEntry[];
}

export function DropMenu({ trigger, label, entries }: Props) {
  return (
    <MenuTrigger>
      {trigger}
      <Popover className="popover" placement="top end">
        <Menu className="menu" aria-label={label}>
          {entries.map((entry, at) =>
            entry === 'separator' ? (
              <Separator key={`separator-${at}`} className="menu-separator" />
            ) : (
              <MenuItem
                key={entry.id}
                id={entry.id}
                textValue={entry.name}
                className={entry.danger === true ? 'menu-item danger' : 'menu-item'}
                onAction={entry.act}
              >
                {entry.icon}
                <span className="grow">{entry.name}</span>
              </MenuItem>
            ),
          )}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

interface ChoiceProps {
  trigger: ReactNode;
  label: string;
  choices: { id: string; name: string }[];
  chosen: string;
  choose: (id: string) => void;
}

/** A menu in which one entry is the present one. */
export function ChoiceMenu({ trigger, label, choices, chosen, choose }: ChoiceProps) {
  return (
    <MenuTrigger>
      {trigger}
      <Popover className="popover" placement="bottom end">
        <Menu
          className="menu"
          aria-label={label}
          selectionMode="single"
          disallowEmptySelection
          selectedKeys={[chosen]}
          onAction={(key) => choose(String(key))}
        >
          {choices.map(({ id, name }) => (
            <MenuItem key={id} id={id} textValue={name} className="menu-item">
              {({ isSelected }) => (
                <>
                  <span className="grow">{name}</span>
                  {isSelected && <Check className="tick" aria-hidden />}
                </>
              )}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
